// What the portal is told by a proxy in front that asks the gate.
import { check, equal, tell } from "./browser.mjs";

const { E2E_GATE: gate } = process.env;

await tell(async ({ open, step }) => {
  step("the portal gets the assertion, its own cookies, and none of the gate's");
  const context = await open();
  const page = await context.newPage();
  await page.goto(`${gate}/x`);
  await page.fill('input[name="login"]', "ben");
  await page.fill('input[name="password"]', "any");
  await page.click('button[type="submit"]');
  await page.click('button[type="submit"]:text-is("Continue")');
  await page.waitForURL(`${gate}/x`);
  await context.addCookies([{ name: "theme", value: "dark", url: gate }]);
  await page.goto(`${gate}/y`);
  const told = JSON.parse(await page.textContent("body"));
  equal([told.user, told.roles], ["ben", "viewer"], "headers");
  check(told.cookie.includes("theme=dark") && !told.cookie.includes("portcullis"), `cookies, got ${told.cookie}`);
  check(told.assertion.split(".").length === 3, `an assertion, got ${told.assertion}`);

  step("a route that asks for a role is closed");
  const closed = await page.goto(`${gate}/admin/x`);
  equal(closed.status(), 403, "status");

  step("whoever is signed out is out at once");
  const asked = () => page.evaluate(async (url) => (await fetch(url)).status, `${gate}/z`);
  await page.goto(`${gate}/y`);
  equal(await asked(), 200, "a script's status");
  const elsewhere = await context.newPage();
  await elsewhere.goto(`${gate}/.portcullis/sign-out`);
  await elsewhere.click('button[type="submit"]');
  await elsewhere.waitForURL((url) => !url.href.startsWith(gate)); // asked at the provider, and gone here
  equal(await asked(), 401, "a script's status after it");
});
