"use strict";
// Keeps the place on the page over a button press, and lets nobody press twice.
(() => {
  const key = "place:" + location.pathname;
  const place = sessionStorage.getItem(key);
  sessionStorage.removeItem(key);
  if (place !== null && !location.hash) scrollTo(0, Number(place));
  addEventListener("submit", (event) => {
    sessionStorage.setItem(key, String(scrollY));
    for (const button of event.target.querySelectorAll("button")) button.setAttribute("aria-busy", "true");
    if (event.target.dataset.sent) event.preventDefault();
    event.target.dataset.sent = "yes";
  });
  addEventListener("pageshow", () => {
    for (const form of document.forms) delete form.dataset.sent;
    for (const button of document.querySelectorAll("button[aria-busy]")) button.removeAttribute("aria-busy");
  });
})();
