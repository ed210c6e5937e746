// What a page's script reads at the address where proxies ask, through a
// balancer.
import { check, equal, tell } from "./browser.mjs";
import { gate, interact } from "./independent.mjs";

await tell(async ({ open, step }) => {
  step("the portal gets the assertion, and a cookie that scripts may not read");
  const context = await open();
  await context.addCookies([{ name: "theirs", value: "hidden", url: gate, httpOnly: true }]);
  const page = await context.newPage();
  await page.goto(`${gate}/x`);
  await interact(page, "ada");
  await page.waitForURL(`${gate}/x`);
  equal((await page.textContent("body")).split(".").length, 3, "parts of the assertion");

  step("no script of a page does, however it asks");
  const answers = await page.evaluate(async () => {
    const asked = { "X-Original-URI": "/x", "X-Forwarded-Uri": "/x", "X-Forwarded-Method": "GET" };
    const out = [];
    for (const path of ["/.portcullis/auth", "/.portcullis/auth/x"]) {
      for (const headers of [{}, { "X-Original-URI": "/x" }, asked, { ...asked, "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document" }]) {
        for (const mode of ["cors", "same-origin", "no-cors"]) {
          const res = await fetch(path, { headers, mode });
          out.push([res.status, ...res.headers]);
        }
        const xhr = new XMLHttpRequest();
        xhr.open("GET", path, false);
        for (const [name, value] of Object.entries(headers)) if (!name.startsWith("Sec-")) xhr.setRequestHeader(name, value);
        xhr.send();
        out.push([xhr.status, xhr.getAllResponseHeaders()]);
      }
    }
    return out;
  });
  equal(answers.length, 32, "answers");
  for (const answer of answers) {
    const text = JSON.stringify(answer).toLowerCase();
    check(answer[0] === 200 || answer[0] === 403, `200 or 403, got ${answer[0]}`);
    check(!/x-portcullis-assertion|eyj|hidden/.test(text), `nothing of the statement, got ${text}`);
  }
});
