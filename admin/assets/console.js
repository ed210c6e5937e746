// What a script adds: times in the reader's zone, a search that answers while
// one types, and keys. Every page works without it.
"use strict";

// say gives a text in the language of the page, with a value in it.
const words = JSON.parse(document.body.dataset.words ?? "{}");
const say = (text, value = "") => (words[text] ?? text).replace("%s", () => value);

// Times are the browser's own way, or that of a page in another language than English.
const tongue = document.body.dataset.words && !navigator.language.startsWith(document.documentElement.lang) ? document.documentElement.lang : undefined;

const local = (root) => {
  const format = new Intl.DateTimeFormat(tongue, { dateStyle: "medium", timeStyle: "short" });
  for (const time of root.querySelectorAll("time[datetime]:not([data-fixed])")) {
    time.textContent = format.format(new Date(time.dateTime));
  }
  for (const wide of root.querySelectorAll(".scroll")) wide.tabIndex = 0; // to be scrolled by keys
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
          copies(fresh);
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

// dialog shows something above the page until Escape, or until it is left.
const dialog = (label, ...content) => {
  document.querySelector("dialog")?.remove();
  const box = document.createElement("dialog");
  box.setAttribute("aria-label", label);
  box.append(...content);
  box.addEventListener("close", () => box.remove());
  document.body.append(box);
  box.showModal();
  return box;
};

const element = (name, text, attributes = {}) => {
  const made = document.createElement(name);
  made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
};

// palette leads to every page of the navigation, and searches people.
const palette = () => {
  const links = [...document.querySelectorAll(".side a, .tabs a")].map((a) => [a.textContent.trim(), a.href]);
  const people = links.find(([, href]) => href.endsWith("/people"));
  const input = element("input", "", { type: "search", "aria-label": say("Go to a page, or find a person"), placeholder: say("Go to a page, or find a person") });
  const list = element("ul", "", { class: "plain" });
  const fill = () => {
    const text = input.value.trim().toLowerCase();
    const hits = links.filter(([title]) => title.toLowerCase().includes(text));
    if (text && people) hits.push([say("Find “%s” among people", input.value.trim()), `${people[1]}?q=${encodeURIComponent(input.value.trim())}`]);
    list.replaceChildren(...hits.map(([title, href]) => {
      const item = document.createElement("li");
      item.append(element("a", title, { href }));
      return item;
    }));
  };
  input.addEventListener("input", fill);
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter") list.querySelector("a")?.click();
    if (event.key === "ArrowDown") list.querySelector("a")?.focus();
  });
  list.addEventListener("keydown", (event) => {
    const items = [...list.querySelectorAll("a")];
    const next = items.indexOf(document.activeElement) + { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (Number.isNaN(next)) return;
    event.preventDefault();
    (items[next] ?? input).focus();
  });
  fill();
  dialog(say("Go to"), input, list);
  input.focus();
};

const help = () => {
  const list = document.createElement("dl");
  for (const [key, what] of [["/", say("Search on this page")], [say("Ctrl K or ⌘ K"), say("Go to a page, or find a person")], ["?", say("This list")], [say("Esc"), say("Close")]]) {
    list.append(element("dt", key), element("dd", what));
  }
  dialog(say("Keys"), element("h2", say("Keys")), list, element("p", say("Everything can be reached with Tab and Enter.")));
};

document.addEventListener("keydown", (event) => {
  if (event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey) {
    event.preventDefault();
    palette();
    return;
  }
  if (event.key === "?" && !event.target.closest("input, select, textarea") && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    help();
    return;
  }
  const search = document.querySelector("[data-search]");
  const typing = event.target.closest("input, select, textarea");
  if (event.key === "/" && search && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    search.focus();
  }
});

// draft checks a mapping while one types: what a button would show.
const draft = (form) => {
  const panel = document.getElementById("check");
  const text = form.elements.text;
  let timer = 0;
  let running = null;
  const check = async () => {
    const data = new URLSearchParams(new FormData(form));
    data.set("do", "check");
    running?.abort();
    running = new AbortController();
    panel.setAttribute("aria-busy", "true");
    try {
      const answer = await fetch(form.action, { method: "POST", body: data, signal: running.signal, headers: { Accept: "text/html" } });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.getElementById("check");
      if (!answer.ok || !fresh) return;
      const reason = form.elements.reason?.value;
      local(fresh);
      panel.replaceChildren(...fresh.childNodes);
      if (reason && form.elements.reason) form.elements.reason.value = reason;
      panel.removeAttribute("aria-busy");
    } catch (error) {
      if (error.name !== "AbortError") panel.removeAttribute("aria-busy");
    }
  };
  const where = () => {
    const before = text.value.slice(0, text.selectionStart).split("\n");
    document.getElementById("caret").textContent = `Line ${before.length}, column ${before.at(-1).length + 1}`;
  };
  text.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(check, 350);
  });
  for (const event of ["input", "click", "keyup"]) text.addEventListener(event, where);
};
for (const form of document.querySelectorAll("form[data-draft]")) draft(form);
