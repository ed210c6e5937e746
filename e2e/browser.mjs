// What the stories share: a browser that is alone with loopback, steps with
// screenshots, and checks that say what was wanted.
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const shots = process.env.E2E_SHOTS;
rmSync(shots, { recursive: true, force: true });
mkdirSync(shots, { recursive: true });

// launch gives a browser with a profile of its own, and the complaints of
// every page that it opens.
export async function launch() {
  const browser = await chromium.launch({
    executablePath: process.env.E2E_CHROMIUM,
    headless: true,
    timeout: 60_000,
    args: [
      "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
      "--disable-background-networking", "--disable-component-update", "--disable-sync",
      "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    ],
  });
  const complaints = [];
  // A refused answer and a stream that was cut are shown by the browser itself,
  // and are wanted here and there.
  const cut = process.env.E2E_MISSING ? /status of 40[1349]|ERR_INCOMPLETE_CHUNKED_ENCODING/ : /status of (401|403|409)|ERR_INCOMPLETE_CHUNKED_ENCODING/;
  const wanted = process.env.E2E_REFUSED ? /status of 40[0134]/ : cut;
  const open = async (options = {}) => {
    const context = await browser.newContext({ viewport: { width: 1200, height: 800 }, ...options });
    context.setDefaultTimeout(20_000);
    context.on("page", (page) => {
      page.on("pageerror", (error) => complaints.push(`${page.url()}: ${error}`));
      page.on("console", (message) => {
        // What a foreign provider's pages lack is not ours.
        const foreign = process.env.E2E_ISSUER && page.url().startsWith(process.env.E2E_ISSUER);
        if (message.type() === "error" && !foreign && !wanted.test(message.text())) {
          complaints.push(`${page.url()}: ${message.text()}`);
        }
      });
    });
    return context;
  };
  return { browser, open, complaints };
}

export function check(ok, what) {
  if (!ok) throw new Error(`want ${what}`);
}

export function equal(got, want, what) {
  check(JSON.stringify(got) === JSON.stringify(want), `${what} ${JSON.stringify(want)}, got ${JSON.stringify(got)}`);
}

let number = 0;
export async function shot(page, name, options = {}) {
  number += 1;
  await page.screenshot({ path: `${shots}/${String(number).padStart(2, "0")}-${name}.png`, animations: "disabled", ...options });
}

// barriers are what axe finds on a page.
export async function barriers(page) {
  const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
  if (!(await page.evaluate(() => "axe" in window))) await page.evaluate(`${axe}; undefined`);
  const found = await page.evaluate(() => window.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }));
  return found.violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.target.join(" ")).slice(0, 3).join(" | ")}`);
}

// poll waits until look gives what is wanted. A page that is just being
// replaced by another one cannot be looked at, which is no answer.
export async function poll(what, look, within = 20_000) {
  const end = Date.now() + within;
  for (;;) {
    if (await look().catch(() => false)) return;
    check(Date.now() < end, `${what} within ${within} ms`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

// tell runs a story to its end and closes the browser, come what may.
export async function tell(story) {
  const stage = await launch();
  let step = "begin";
  let code = 0;
  try {
    await story({ ...stage, step: (name) => { step = name; console.log(`· ${name}`); } });
    equal(stage.complaints, [], "complaints of the browser");
  } catch (error) {
    code = 1;
    console.error(`FAILED at "${step}": ${error.stack}`);
    for (const context of stage.browser.contexts()) {
      for (const page of context.pages()) {
        console.error(`open: ${page.url()}`);
        await shot(page, "failed").catch(() => {});
      }
    }
  }
  await stage.browser.close();
  process.exitCode = code;
}
