"use strict";
// Keeps a page of the portal alive, and closes it when the right to be inside
// ends: the gate then cuts the event stream, and whoami answers 401.
(() => {
  const born = performance.now();
  const state = document.getElementById("alive");
  let source, heard = false, leaving = false, over = false;

  const say = (text, mood) => {
    state.textContent = text;
    document.body.dataset.alive = mood;
  };

  const end = () => {
    over = true;
    const page = document.getElementById("ended-page").content.cloneNode(true);
    page.querySelector("#sign-in-again").href =
      "/.portcullis/sign-in?return_to=" + encodeURIComponent(location.pathname + location.search);
    document.body.className = "portal alone";
    document.body.replaceChildren(page);
    document.title = "Your access has ended";
    document.getElementById("ended").focus();
  };

  const later = () => {
    say("Reconnecting", "away");
    setTimeout(connect, 1000);
  };

  // The stream closed. Why?
  const check = async () => {
    if (over || leaving) return;
    let answer;
    try {
      answer = await fetch("/.portcullis/whoami", { cache: "no-store", headers: { Accept: "application/json" } });
    } catch {
      return later(); // the gate cannot be reached
    }
    if (leaving) return;
    if (answer.status === 401 || answer.status === 403) return end();
    if (!answer.ok || !heard) return later(); // the portal cannot be reached
    // Still inside, so what may be seen or done has changed. At most once a second.
    say("Your access has changed", "away");
    // Not when somebody has clicked on a link in the meantime: that would take the click back.
    setTimeout(() => { if (!leaving) location.reload(); }, Math.max(0, 1000 - (performance.now() - born)));
  };

  const connect = () => {
    if (over || leaving) return;
    source = new EventSource("/live/events");
    source.addEventListener("update", (event) => {
      heard = true;
      say("Live", "live");
      show(JSON.parse(event.data));
    });
    source.addEventListener("renew", () => { source.close(); connect(); });
    source.addEventListener("error", () => { source.close(); check(); });
  };

  const show = (update) => {
    const time = document.getElementById("live-time");
    if (!time) return; // only one page shows what is live
    time.textContent = update.time;
    for (const tick of update.ticks) {
      const row = document.querySelector(`tr[data-row="${CSS.escape(tick.id)}"]`);
      if (!row) continue;
      row.dataset.way = tick.way;
      row.querySelector(".price").textContent = tick.price;
      row.querySelector(".change").textContent = tick.change;
      if (tick.movement) move(update.time, row.dataset.account, tick.movement);
    }
  };

  const move = (time, account, text) => {
    const list = document.getElementById("movements");
    const item = document.createElement("li");
    const when = document.createElement("span");
    when.className = "quiet";
    when.textContent = `${time.slice(0, 8)} ${account}`;
    const what = document.createElement("strong");
    what.textContent = text;
    item.append(when, what);
    list.prepend(item);
    while (list.children.length > 12) list.lastChild.remove();
  };

  // Leaving a page closes its stream too, and that is not the end of anything.
  addEventListener("beforeunload", () => {
    leaving = true;
    setTimeout(() => { leaving = false; if (source.readyState === EventSource.CLOSED) check(); }, 2000);
  });
  // A page out of the browser's cache may show what one may not see any more.
  addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
  connect();
})();
