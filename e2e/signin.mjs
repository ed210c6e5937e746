// A sign-in at the independent provider, and out of it again.
import { check, equal, shot, tell } from "./browser.mjs";
import { gate, interact, issuer, whoami } from "./independent.mjs";

await tell(async ({ open, step }) => {
  step("one connection: straight to the provider, and back to the deep link");
  const context = await open();
  const page = await context.newPage();
  await page.goto(`${gate}/deep/link?a=b`);
  check(page.url().startsWith(issuer), `the provider, got ${page.url()}`);
  await shot(page, "independent-login");
  await interact(page, "ada");
  await page.waitForURL(`${gate}/deep/link?a=b`);
  const told = JSON.parse(await page.textContent("body"));
  equal(told.user, "ada", "X-Portcullis-User");
  equal(told.roles, "manager,viewer", "X-Portcullis-Roles");

  step("whoami holds what the groups are mapped to");
  const who = await whoami(page);
  equal([who.status, who.subject, who.connection, who.organization], [200, "ada", "independent", "Independent"], "whoami");
  equal([who.name, who.email], ["Independent ada", "ada@alpha.example"], "name and e-mail");
  equal([who.roles, who.tasks], [["manager", "viewer"], ["account.view", "report.view"]], "roles and tasks");
  equal(who.permissions.anyOf, [{ account: "*" }], "permissions");

  step("a second sign-in meets the provider's own session");
  await page.goto(`${gate}/.portcullis/sign-in/independent?return_to=/again`);
  await page.waitForURL(`${gate}/again`);

  step("sign out here and at the provider");
  await page.goto(`${gate}/.portcullis/sign-out`);
  await page.click('button[type="submit"]');
  await page.waitForURL(`${issuer}/**`);
  await shot(page, "independent-logout");
  await page.click('button[name="logout"]');
  await page.waitForSelector('h1:text-is("You are signed out")');
  check(page.url().startsWith(`${gate}/.portcullis/sign-out`), `the signed-out page, got ${page.url()}`);
  equal((await whoami(page)).status, 401, "whoami");
  await page.goto(`${gate}/`);
  await page.waitForSelector('input[name="login"]'); // the provider has forgotten, too

  step("somebody else, with other groups");
  await interact(page, "ben");
  await page.waitForURL(`${gate}/`);
  equal((await whoami(page)).roles, ["viewer"], "roles");

  step("whoever cancels there, and whoever has no group, is told so");
  const other = await (await open()).newPage();
  await other.goto(`${gate}/`);
  await other.click('a:has-text("Cancel")');
  await other.waitForSelector(".reference code");
  await shot(other, "independent-cancelled");
  await other.goto(`${gate}/`);
  await interact(other, "dan");
  await other.waitForSelector(".reference code");
  equal(await other.evaluate(() => performance.getEntriesByType("navigation")[0].responseStatus), 403, "status");
  await shot(other, "independent-refused");

  step("signed out at the provider: it tells the gate behind the browser's back");
  const leaving = await (await open()).newPage();
  await leaving.goto(`${gate}/`);
  await interact(leaving, "ada");
  await leaving.waitForURL(`${gate}/`);
  equal((await whoami(leaving)).status, 200, "whoami");
  equal((await whoami(page)).status, 200, "whoami of somebody else");
  await leaving.goto(`${issuer}/session/end`);
  await leaving.click('button[name="logout"]');
  await leaving.waitForSelector('text=Sign-out Success');
  equal((await whoami(leaving)).status, 401, "whoami after the provider's own sign-out");
  equal((await whoami(page)).status, 200, "whoami of somebody else");
});
