// A connection, from nothing to nobody: made in the console, set up by the
// client's IT by a link, tried, pushed to, kept by its own people, removed.
import { readFileSync, writeFileSync } from "node:fs";
import { barriers, check, equal, poll, shot, tell } from "./browser.mjs";
import { gate, interact, issuer, whoami } from "./independent.mjs";

const { E2E_CONSOLE: link, E2E_MAPPING: mapping, E2E_SECRET: secret } = process.env;
const base = `${gate}/.portcullis/admin`;

const look = async (page, name) => {
  await shot(page, name, { fullPage: true });
  equal(await barriers(page), [], `barriers of ${name}`);
};

// everyLook also looks in the dark, and on a narrow screen.
const everyLook = async (page, name) => {
  await look(page, name);
  await page.emulateMedia({ colorScheme: "dark" });
  await look(page, `${name}-dark`);
  const size = page.viewportSize();
  await page.setViewportSize({ width: 320, height: 640 });
  equal(await page.evaluate(() => document.documentElement.scrollWidth), 320, `the width of ${name} at 320 px`);
  const cut = await page.evaluate(() => [...document.querySelectorAll("select")].filter((select) => {
    const style = getComputedStyle(select), pen = document.createElement("canvas").getContext("2d");
    pen.font = style.font;
    const room = select.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight) - 20; // the arrow
    const wraps = style.appearance === "base-select" && style.whiteSpace === "normal";
    return select.checkVisibility() && !wraps && pen.measureText(select.selectedOptions[0]?.text ?? "").width > room;
  }).map((select) => select.name));
  equal(cut.join(), "", `what is chosen and cut off in ${name} at 320 px`);
  await look(page, `${name}-320`);
  await page.setViewportSize(size);
  await page.emulateMedia({ colorScheme: "light" });
};

await tell(async ({ open, step }) => {
  step("somebody makes a connection");
  const admin = await (await open()).newPage();
  await admin.goto(link);
  await admin.click('button:text-is("Open the console")');
  await admin.waitForURL(`${base}/`);
  await admin.goto(`${base}/connections`);
  await look(admin, "connections");
  await admin.click('a:text-is("New connection …")');
  await admin.fill("#id", "omega");
  await admin.fill("#organization", "Omega");
  await admin.fill("#domains", "alpha.example");
  await admin.click('button:text-is("Make it")');
  await admin.waitForSelector("text=Not saved.");
  check(/alpha\.example/.test(await admin.textContent('[role="alert"]')), "the domain of somebody else is named");
  await everyLook(admin, "connection-refused");
  await admin.fill("#domains", "omega.example");
  await admin.click('button:text-is("Make it")');
  await admin.waitForURL(`${base}/connections/omega/setup?*`);
  await look(admin, "setup");

  step("the mapping says what its people may do");
  const text = readFileSync(mapping, "utf8");
  writeFileSync(mapping, text
    .replace("connections:\n", "connections:\n  omega: {ceiling: {roles: [viewer, keeper]}}\n")
    .replace("roles:\n", "roles:\n  keeper:  {scope: organization, tasks: [gate.connections.own]}\n")
    .replace("rules:\n", "rules:\n  - {id: omega, match: {connection: omega, groups: [{name: Portfolio-Managers}]}, grant: {roles: [viewer, keeper]}}\n"));

  step("the client's IT opens a link, once");
  await admin.click('.tabs a:text-is("Overview")');
  await admin.click('button:text-is("Make a setup link for the client …")');
  await admin.waitForSelector("text=It is shown this once.");
  await shot(admin, "setup-link", { fullPage: true });
  const opened = (await admin.textContent("code[data-copy]")).trim();
  const it = await (await open()).newPage();
  await it.goto(opened);
  await look(it, "it-begin");
  await it.click('button:text-is("Begin")');
  await it.waitForURL(`${base}/setup/omega/setup`);
  await look(it, "it-setup");
  check((await it.textContent("main")).includes(`${gate}/.portcullis/oidc/omega/callback`), "the redirect URI among the steps");
  await it.goto(`${base}/people`);
  check(it.url().startsWith(`${gate}/.portcullis/sign-in`) || !it.url().startsWith(base), `the sign-in for the link's visitor at the people's page, got ${it.url()}`);
  equal((await it.goto(`${base}/setup/independent`)).status(), 404, "another connection for the link's visitor");

  step("a wrong secret shows in the test sign-in");
  const provide = async (page, value, corner = "setup") => {
    await page.goto(`${base}/${corner}/omega/setup`);
    await page.fill("#issuer", issuer);
    await page.fill("#clientId", "portcullis");
    await page.fill("#clientSecret", value);
    await page.click('button:text-is("Save")');
    await page.waitForURL(/(own-connections|setup)\/omega\?/);
  };
  const attempt = async (page) => {
    await page.click('button:text-is("Test sign-in …")');
    await page.waitForSelector('a:text-is("Open the test sign-in")');
    const beside = page.context().waitForEvent("page");
    await page.click('a:text-is("Open the test sign-in")');
    const popup = await beside;
    await interact(popup, "olga");
    await page.waitForSelector("text=This sign-in would", { timeout: 20_000 });
    await popup.close();
  };
  await provide(it, "not-the-secret");
  await attempt(it);
  check(/would be refused/.test(await it.textContent("main")), "a refusal");
  await look(it, "test-refused");

  step("a wrong client id ends on the provider's own page");
  await it.goto(`${base}/setup/omega/setup`);
  await it.fill("#clientId", "nobody-knows-it");
  await it.click('button:text-is("Save")');
  await it.waitForURL(/setup\/omega\?/);
  const kept = await admin.context().newPage();
  await kept.goto(`${base}/connections/omega`);
  await kept.click('button:text-is("Test sign-in …")');
  await kept.waitForSelector('a:text-is("Open the test sign-in")');
  const stuck = kept.context().waitForEvent("page");
  await kept.click('a:text-is("Open the test sign-in")');
  await (await stuck).waitForLoadState();
  await kept.waitForSelector("text=is at the identity provider");
  check(new URL((await stuck).url()).origin === new URL(issuer).origin, `the provider's own page, got ${(await stuck).url()}`);

  step("how people are read");
  await admin.goto(`${base}/connections/omega/settings`);
  await admin.click("details.more > summary");
  await admin.fill("#addresses", "10.0.0.1/8");
  await admin.click('button:text-is("Save")');
  await admin.waitForSelector("text=Not saved.");
  check(/Networks that people may come from: Want .*10\.0\.0\.1/.test(await admin.textContent('[role="alert"]')), "the field and the network that is none are named");
  await admin.click('[role="alert"] a');
  equal(await admin.evaluate(() => document.activeElement.id), "addresses", "where the summary leads");
  await everyLook(admin, "settings-refused");
  await admin.fill("#addresses", "127.0.0.0/8, ::1");
  await admin.fill("#scimAttributes", "costCenter = string");
  await admin.click('button:text-is("Save")');
  await admin.waitForURL(`${base}/connections/omega?*`);
  check((await admin.textContent("main")).includes("127.0.0.0/8"), "the network among what is known of the connection");
  await look(admin, "overview-read");

  step("the right one would let Olga in");
  await provide(it, secret);
  await it.context().clearCookies({ name: /^_(session|interaction|grant)/ }); // the provider's: it asks again for everything
  await attempt(it);
  check(/would succeed/.test(await it.textContent("main")), "a success");
  check(/viewer/.test(await it.textContent("main")), "what the mapping grants");
  await look(it, "test-good");
  equal((await whoami(it)).status, 401, "nobody is signed in by a test");

  step("what is pushed appears by itself");
  await it.goto(`${base}/setup/omega/scim`);
  await look(it, "scim-empty");
  await it.fill("#note", "their directory");
  await it.click('button:text-is("Make a token")');
  await it.waitForSelector("text=It is shown this once.");
  const [token, url] = await it.$$eval("code[data-copy]", (all) => all.map((code) => code.textContent));
  await it.click('a:text-is("I have entered it: see what comes")');
  await it.waitForSelector("#live");
  const push = (bearer) => fetch(`${url}/Users`, {
    method: "POST", headers: { Authorization: `Bearer ${bearer}`, "Content-Type": "application/scim+json" },
    body: JSON.stringify({ schemas: ["urn:ietf:params:scim:schemas:core:2.0:User"], userName: "carl@omega.example", externalId: "carl", active: true }),
  });
  equal((await push(token)).status, 201, "a push");
  equal((await push(token)).status, 409, "the same push again");
  await poll("both requests", async () => {
    const live = await it.textContent("#live");
    return live.includes("201") && live.includes("409");
  });
  await look(it, "scim-live");

  step("their own people keep it from now on");
  const olga = await (await open()).newPage();
  await olga.goto(`${gate}/.portcullis/sign-in/omega`);
  await interact(olga, "olga");
  await poll("Olga is in", async () => (await whoami(olga)).connection === "omega");
  equal((await whoami(olga)).roles, ["keeper", "viewer"], "her roles");
  await olga.goto(`${base}/own-connections`);
  await look(olga, "own-connections");
  equal((await olga.goto(`${base}/connections`)).status(), 403, "everybody's connections for Olga");
  await provide(olga, secret, "own-connections");
  check((await whoami(olga)).status === 200, "a new secret ends nobody's session");
  await olga.click('.tabs a:text-is("Sign-ins")');
  await olga.waitForSelector("tbody tr");
  await look(olga, "own-sign-ins");

  step("the link's visit is over when another is made");
  await admin.goto(`${base}/connections/omega`);
  await look(admin, "overview");
  await admin.click('button:text-is("Make a setup link for the client …")');
  await admin.waitForSelector("text=It is shown this once.");
  equal((await it.goto(`${base}/setup/omega`)).status(), 401, "what the former link opened");

  step("whoever is kept at the provider is told why");
  await kept.waitForSelector("text=has not sent anybody back", { timeout: 75_000 });
  const told = await kept.$$eval("#live code[data-copy]", (all) => all.map((code) => code.textContent));
  equal(told.slice(0, 1), [`${gate}/.portcullis/oidc/omega/callback`], "the redirect URI to compare");
  check(told.includes(issuer), "the issuer to compare");
  await everyLook(kept, "test-stranded");

  step("removed, with all that was of it");
  await admin.goto(`${base}/connections`);
  await look(admin, "fleet");
  await admin.goto(`${base}/connections/omega/remove`);
  await look(admin, "remove");
  await admin.fill("#reason", "moved away");
  await admin.click('button:text-is("Remove")');
  await admin.waitForSelector("text=The connection is removed. 1 session ended.");
  equal((await whoami(olga)).status, 401, "Olga, afterwards");
  equal((await push(token)).status, 401, "a push, afterwards");
});
