// What the portal is told by a proxy in front that asks the gate.
import { request } from "node:http";
import { check, equal, tell } from "./browser.mjs";

const { E2E_GATE: gate } = process.env;

// ask sends what no browser would, and gives the status and what the portal
// was told.
const ask = (headers) => new Promise((resolve, reject) => {
  request(`${gate}/y`, { headers, agent: false }, (res) => {
    let body = "";
    res.on("data", (part) => { body += part; });
    res.on("end", () => resolve({ status: res.statusCode, told: res.statusCode === 200 ? JSON.parse(body) : {} }));
  }).on("error", reject).end();
});

// upgrade opens a WebSocket and gives the status.
const upgrade = (headers) => new Promise((resolve, reject) => {
  request(`${gate}/ws`, { headers: {
    Connection: "Upgrade", Upgrade: "websocket", "Sec-WebSocket-Version": 13, "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", ...headers,
  }, agent: false })
    .on("upgrade", (res, socket) => { socket.destroy(); resolve(res.statusCode); })
    .on("response", (res) => { res.resume(); resolve(res.statusCode); })
    .on("error", reject).end();
});

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

  step("nothing that a client sends stands beside it, or takes it away");
  const cookie = (await context.cookies()).map((c) => `${c.name}=${c.value}`).join("; ");
  const forged = await ask({
    Cookie: cookie, Accept: "application/json", "X-Portcullis-User": "boss", "x-portcullis-roles": ["manager", "root"], X_Portcullis_User: "boss",
    "X-Portcullis_Roles": "manager", "X.Portcullis.User": "boss", "X-Portcullis-Assertion": "e30.e30.",
  });
  equal([forged.status, forged.told.user, forged.told.roles, forged.told.forged], [200, "ben", "viewer", ""], "with forged headers");
  check(forged.told.assertion.length > 100, `the gate's assertion, got ${forged.told.assertion}`);
  for (const names of ["close, X-Portcullis-User, X-Portcullis-Assertion, X-Portcullis-Roles", "close, Cookie", "close, X-Forwarded-Uri, X-Forwarded-Method, X-Original-URI"]) {
    const { status, told: seen } = await ask({ Cookie: cookie, Accept: "application/json", Connection: names });
    check(status >= 400 || seen.user === "ben" && seen.assertion.length > 100, `a refusal, or the identity, for Connection: ${names}; got ${status} ${JSON.stringify(seen)}`);
  }

  step("a WebSocket opens from our own pages, for whoever is signed in");
  equal([
    await upgrade({ Cookie: cookie, Origin: gate }), await upgrade({ Cookie: cookie, Origin: "http://evil.example" }), await upgrade({ Origin: gate }),
  ], [101, 403, 401], "statuses");

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
