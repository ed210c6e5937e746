// The console for everybody: every screen without a barrier that axe finds, in
// both themes; at 320 px and at twice the size; by keys alone; and readable
// without a script.
import { gzipSync } from "node:zlib";
import { barriers, check, equal, poll, shot, tell } from "./browser.mjs";

const { E2E_PORTAL: portal, E2E_CONSOLE: link } = process.env;
const base = `${portal}/.portcullis/admin`;

await tell(async ({ open, step }) => {
  step("Ben signs in, and somebody opens the console");
  const page = await (await open()).newPage();
  await page.goto(`${portal}/accounts`);
  await page.click('a.choice:text-is("Alpha")');
  await page.click('[data-testid="person-ben"]');
  await page.waitForURL(`${portal}/accounts`);
  const context = await open();
  const admin = await context.newPage();
  await admin.goto(link);
  equal(await barriers(admin), [], "barriers of the link's page");
  await admin.click('button:text-is("Open the console")');
  await admin.waitForURL(`${base}/`);

  step("find Ben by keys alone");
  await admin.keyboard.press("?");
  await admin.waitForSelector('dialog[aria-label="Keys"]');
  equal(await barriers(admin), [], "barriers of the list of keys");
  await shot(admin, "keys");
  await admin.keyboard.press("Escape");
  await poll("the list of keys is gone", async () => (await admin.$$("dialog")).length === 0);
  await admin.keyboard.press("Control+k");
  await admin.keyboard.type("ben");
  await admin.waitForSelector('dialog a:text("Find “ben”")');
  equal(await barriers(admin), [], "barriers of the palette");
  await shot(admin, "palette");
  await admin.keyboard.press("Enter");
  await admin.waitForURL(/people\?q=ben/);
  await admin.keyboard.press("/");
  check(await admin.evaluate(() => document.activeElement.matches("[data-search]")), "the search in focus");
  const tabTo = async (what) => {
    for (let i = 0; i < 60; i += 1) {
      await admin.keyboard.press("Tab");
      if (await admin.evaluate((s) => document.activeElement.matches(s), what)) return;
    }
    throw new Error(`want ${what} within 60 times Tab`);
  };
  await tabTo('#result td a');
  await admin.keyboard.press("Enter");
  await admin.waitForSelector(".tabs");
  const person = new URL(admin.url()).pathname.replace("/.portcullis/admin", "");

  step("grant him a role for a time, by keys alone");
  await tabTo('.tabs a[href$="/exceptions"]');
  await admin.keyboard.press("Enter");
  await admin.waitForSelector("#role");
  await shot(admin, "exceptions", { fullPage: true });
  await tabTo("#role");
  await admin.keyboard.type("approver");
  await tabTo("#until");
  await admin.fill("#until", new Date(Date.now() + 3 * 86_400_000).toISOString().slice(0, 10));
  await tabTo("#reason");
  await admin.keyboard.type("covers for Ada");
  await admin.keyboard.press("Enter");
  await admin.waitForSelector("text=Granted");
  await shot(admin, "granted", { fullPage: true });
  const tasks = await page.evaluate(() => fetch("/.portcullis/whoami").then((r) => r.text()));
  check(tasks.includes("payment.approve"), `the task in Ben's session, got ${tasks}`);
  await admin.goto(`${base}${person}/why`);
  check(/exception until/.test(await admin.textContent("main")), "the exception in Why");
  await shot(admin, "why", { fullPage: true });

  step("every screen, in both themes, small, and large");
  const paths = await admin.evaluate(() => [...document.querySelectorAll(".side a")].map((a) => new URL(a.href).pathname.replace("/.portcullis/admin", "")));
  const connection = await admin.evaluate(async () => (await (await fetch("/.portcullis/api/v1/connections")).json()).connections[0].id);
  const api = (path, method) => admin.evaluate(async ([path, method]) => (await fetch(`/.portcullis/api/v1${path}`, { method })).json(), [path, method]);
  const test = await api(`/connections/${connection}/tests`, "POST");
  const { signIns } = await api(`/sign-ins?connection=${connection}`, "GET");
  const fleet = ["", "/setup", "/scim", "/settings", "/remove", "/sign-ins", `/tests/${test.test}`].map((t) => `/connections/${connection}${t}`);
  const forms = ["rule:", "connection:", "constraint:", "test:"].map((kind) => `/mapping/edit?open=${kind}`);
  const more = [
    "/people?q=nobody-at-all", "/people?role=viewer", person, ...["why", "exceptions", "sessions", "sign-ins", "scim", "audit", "lock", "deactivate", "sign-out"].map((t) => `${person}/${t}`),
    "/audit/1", ...fleet, ...signIns.slice(0, 1).flatMap((s) => [`/sign-ins/${s.reference}`, `/connections/${connection}/sign-ins/${s.reference}`]),
    "/new-connection", "/mapping/edit", ...forms, "/mapping/history", "/mapping/1", "/mapping/coverage", "/roles/compare?a=viewer&b=approver", "/access?role=viewer",
  ];
  const screens = [...new Set([...paths, ...more])];
  const state = await context.storageState();
  const found = [];
  const other = await (await open({ storageState: state })).newPage();
  for (const path of screens) {
    await other.setViewportSize({ width: 1200, height: 800 });
    await other.goto(base + path);
    for (const colorScheme of ["light", "dark"]) {
      await other.emulateMedia({ colorScheme });
      found.push(...(await barriers(other)).map((barrier) => `${colorScheme} ${path}: ${barrier}`));
    }
    for (const width of [320, 600]) { // 600: what is left of 1200 at twice the size
      await other.setViewportSize({ width, height: 640 });
      const wide = await other.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      if (wide > 0) found.push(`${path}: ${wide} px wider than a window of ${width}`);
    }
  }
  equal(found, [], "barriers");

  step("every screen is small, and strict about what runs");
  const files = new Map();
  for (const path of screens) {
    const page = await admin.evaluate(async (address) => {
      const answer = await fetch(address);
      const text = await answer.text();
      const loads = [...new DOMParser().parseFromString(text, "text/html").querySelectorAll("link[rel=stylesheet], script[src]")].map((f) => f.href || f.src);
      return { policy: answer.headers.get("Content-Security-Policy"), text, loads };
    }, base + path);
    for (const file of page.loads) {
      if (!files.has(file)) files.set(file, gzipSync(await admin.evaluate((address) => fetch(address).then((r) => r.text()), file)).length);
    }
    const bytes = gzipSync(page.text).length + page.loads.reduce((sum, file) => sum + files.get(file), 0);
    check(bytes <= 50 * 1024, `${path} in 50 KB, got ${bytes}`);
    check(page.policy.includes("default-src 'none'") && !page.policy.includes("unsafe"), `a strict policy for ${path}, got ${page.policy}`);
  }

  step("what somebody has of their own");
  const bens = await page.context().storageState();
  for (const [name, options] of [["light", { colorScheme: "light" }], ["dark", { colorScheme: "dark" }], ["small", { viewport: { width: 320, height: 640 } }]]) {
    const other = await (await open({ ...options, storageState: bens })).newPage();
    await other.goto(`${base}/account`);
    await shot(other, `account-${name}`, { fullPage: true });
    equal(await barriers(other), [], `barriers of the account, ${name}`);
    check(await other.evaluate(() => document.documentElement.scrollWidth <= document.documentElement.clientWidth), `the account in the window, ${name}`);
    await other.context().close();
  }

  step("the navigation, from 320 to 1600 px");
  const bar = await (await open({ javaScriptEnabled: false, storageState: state })).newPage();
  for (const [width, colorScheme] of [[320, "light"], [640, "dark"], [1000, "light"], [1200, "dark"], [1600, "light"]]) {
    await bar.setViewportSize({ width, height: 760 });
    await bar.emulateMedia({ colorScheme });
    await bar.goto(`${base}/`);
    const wide = width >= 1024;
    check(await bar.isVisible(".side") === wide && await bar.isVisible(".menu") !== wide, `a side bar or a menu at ${width} px`);
    if (!wide) await bar.click(".menu > summary");
    await shot(bar, `navigation-${width}-${colorScheme}`);
    await bar.click(`${wide ? ".side" : ".menu"} a:text-is("Approvals")`);
    await bar.waitForURL(`${base}/approvals`);
    equal(await bar.$$eval('nav [aria-current="page"]', (all) => all.map((a) => a.textContent)), ["Approvals", "Approvals"], "where one is");
  }

  step("without a script");
  const plain = await (await open({ javaScriptEnabled: false, storageState: state })).newPage();
  await plain.goto(`${base}/people?q=ben`);
  equal((await plain.$$("#result tbody tr")).length, 1, "rows without a script");
  await plain.click("#result tbody td a");
  await plain.click('.tabs a:text-is("Why")');
  check((await plain.textContent("main")).includes("exception until"), "Why without a script");
});
