// The console: by the one-time link to somebody, why they may what they may,
// and out with them.
import { check, equal, poll, shot, tell } from "./browser.mjs";

const { E2E_PORTAL: portal, E2E_CONSOLE: link } = process.env;
const base = `${portal}/.portcullis/admin`;

await tell(async ({ open, step }) => {
  step("Ben signs in to the portal");
  const page = await (await open()).newPage();
  await page.goto(`${portal}/accounts`);
  await page.click('a.choice:text-is("Alpha")');
  await page.click('[data-testid="person-ben"]');
  await page.waitForURL(`${portal}/accounts`);

  step("the link opens the console, once");
  const admin = await (await open()).newPage();
  await admin.goto(link);
  await shot(admin, "link");
  await admin.click('button:text-is("Open the console")');
  await admin.waitForURL(`${base}/`);
  await shot(admin, "home", { fullPage: true });

  step("find Ben while typing");
  await admin.click('.side a:text-is("People")');
  await admin.waitForURL(`${base}/people`);
  await shot(admin, "people", { fullPage: true });
  await admin.keyboard.press("/");
  await admin.keyboard.type("ben");
  await poll("one row", async () => (await admin.$$("#result tbody tr")).length === 1);
  check(admin.url().includes("q=ben"), `the search in the URL, got ${admin.url()}`);
  await admin.click("#result tbody a");
  await admin.waitForSelector(".tabs");
  await shot(admin, "person", { fullPage: true });
  await admin.click('.tabs a:text-is("Why")');
  await admin.waitForSelector(".tree");
  await shot(admin, "why", { fullPage: true });
  await admin.click('.tabs a:text-is("Sessions")');
  await admin.waitForSelector("tbody tr");
  await shot(admin, "sessions", { fullPage: true });
  for (const tab of ["Sign-ins", "SCIM", "Audit"]) {
    await admin.click(`.tabs a:text-is("${tab}")`);
    await admin.waitForSelector(`.tabs a[aria-current]:text-is("${tab}")`);
    await shot(admin, `person-${tab.toLowerCase()}`, { fullPage: true });
  }

  step("lock him: he is out");
  await admin.click('.tabs a:text-is("Overview")');
  await admin.click('a:text-is("Lock …")');
  await admin.waitForSelector("#reason");
  check(/Ends 1 session/.test(await admin.textContent("main")), "the effect is named");
  await shot(admin, "lock", { fullPage: true });
  await admin.fill("#reason", "left the company");
  await admin.click('button:text-is("Lock")');
  await admin.waitForSelector("text=May not come in");
  await shot(admin, "locked", { fullPage: true });
  const status = await page.evaluate(() => fetch("/.portcullis/whoami").then((r) => r.status));
  equal(status, 401, "whoami of Ben");

  step("every screen, dark and small");
  for (const [name, options] of [
    ["dark", { colorScheme: "dark" }], ["small", { viewport: { width: 320, height: 640 } }], ["plain", { javaScriptEnabled: false }],
  ]) {
    const context = await open({ ...options, storageState: await admin.context().storageState() });
    const other = await context.newPage();
    for (const path of ["/", "/people", new URL(admin.url()).pathname.replace("/.portcullis/admin", ""), "/sign-ins", "/provisioning", "/roles", "/mapping", "/audit",
      "/connections", "/connections/alpha", "/connections/alpha/setup", "/connections/alpha/scim", "/new-connection", "/tokens", "/settings"]) {
      await other.goto(base + path);
      const name2 = path.replace(/^\/people\/.+/, "/person").slice(1).replaceAll("/", "-") || "home";
      await shot(other, `${name}-${name2}`, { fullPage: name !== "small" });
      const wide = options.javaScriptEnabled === false ? 0 : await other.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      check(wide <= 0, `${name} ${path} no wider than the window, got ${wide} px more`);
    }
    await context.close();
  }

  step("close it");
  await admin.goto(`${base}/`);
  await admin.click('button:text-is("Close it now")');
  await admin.goto(`${base}/people`);
  check(!admin.url().startsWith(base), `the sign-in page, got ${admin.url()}`);
});
