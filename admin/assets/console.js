// What a script adds: times in the reader's zone, a search that answers while
// one types, and keys. Every page works without it.
"use strict";

const local = (root) => {
  const format = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
  for (const time of root.querySelectorAll("time[datetime]:not([data-fixed])")) {
    time.textContent = format.format(new Date(time.dateTime));
  }
};

// live replaces the result of a form with that of the same address as a whole
// page would show it.
const live = (form) => {
  const result = document.getElementById("result");
  let timer = 0;
  let running = null;
  const show = async () => {
    const query = new URLSearchParams(new FormData(form));
    for (const [name, value] of [...query]) {
      if (!value) query.delete(name);
    }
    const address = `${location.pathname}?${query}`;
    running?.abort();
    running = new AbortController();
    try {
      const answer = await fetch(address, { signal: running.signal, headers: { Accept: "text/html" } });
      if (!answer.ok || !answer.headers.get("Content-Type").startsWith("text/html")) {
        location.assign(address);
        return;
      }
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.getElementById("result");
      if (!fresh) {
        location.assign(address);
        return;
      }
      local(fresh);
      result.replaceChildren(...fresh.childNodes);
      history.replaceState(null, "", address);
    } catch (error) {
      if (error.name !== "AbortError") location.assign(address);
    }
  };
  form.addEventListener("input", (event) => {
    clearTimeout(timer);
    timer = setTimeout(show, event.target.type === "search" ? 200 : 0);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    clearTimeout(timer);
    show();
  });
};

// copies puts a button beside what is to be typed in elsewhere.
const copies = (root) => {
  if (!navigator.clipboard) return;
  for (const code of root.querySelectorAll("[data-copy]")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "quiet copy";
    button.textContent = "Copy";
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = "Copied";
    });
    code.after(" ", button);
  }
};

// poll shows a part of the page as it is now, again and again while somebody
// looks, until it no longer asks for it.
const poll = (part) => {
  const every = Number(part.dataset.poll) * 1000;
  const look = async () => {
    if (!document.hidden) {
      try {
        const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
        const page = new DOMParser().parseFromString(answer.ok ? await answer.text() : "", "text/html");
        const fresh = page.getElementById(part.id);
        if (fresh) {
          local(fresh);
          if (fresh.innerHTML !== part.innerHTML && !part.querySelector("details[open]")) part.replaceChildren(...fresh.childNodes);
          if (!fresh.dataset.poll) return;
        }
      } catch {
        // the next look may find it
      }
    }
    setTimeout(look, every);
  };
  setTimeout(look, every);
};

// popup opens a link in a window beside, and goes on to where its result is.
const popup = (link) => {
  link.addEventListener("click", (event) => {
    event.preventDefault();
    window.open(link.href, "_blank", "popup,noopener,width=560,height=760");
    location.assign(link.dataset.popup);
  });
};

local(document);
copies(document);
for (const part of document.querySelectorAll("[data-poll]")) poll(part);
for (const link of document.querySelectorAll("[data-popup]")) popup(link);
for (const form of document.querySelectorAll("form[data-live]")) live(form);
document.addEventListener("keydown", (event) => {
  const search = document.querySelector("[data-search]");
  const typing = event.target.closest("input, select, textarea");
  if (event.key === "/" && search && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    search.focus();
  }
});
