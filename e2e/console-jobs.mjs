// An administrator's days: people by the dozen, a provider's mishap, what
// things are called, one's own account, and a client's own manager.
import { readFileSync } from "node:fs";
import { barriers, check, equal, poll, shot, tell } from "./browser.mjs";
import { gate, interact, whoami } from "./independent.mjs";

const { E2E_CONSOLE: link } = process.env;
const base = `${gate}/.portcullis/admin`;

const look = async (page, name) => {
  await shot(page, name, { fullPage: true });
  equal(await barriers(page), [], `barriers of ${name}`);
};

await tell(async ({ open, step }) => {
  const enter = async (person) => {
    const page = await (await open()).newPage();
    await page.goto(`${gate}/desk`);
    await interact(page, person);
    await page.waitForURL(`${gate}/desk`);
    return page;
  };
  const says = (page, text) => page.waitForSelector(`.notice:has-text("${text}")`);

  step("a token, and forty people come");
  const admin = await (await open({ acceptDownloads: true })).newPage();
  await admin.goto(link);
  await admin.click('button:text-is("Open the console")');
  await admin.waitForURL(`${base}/`);
  await admin.goto(`${base}/tokens`);
  await look(admin, "tokens-empty");
  await admin.fill("#note", "their directory");
  await admin.click('button:text-is("for independent")');
  const [token, url] = await admin.$$eval("code[data-copy]", (all) => all.map((code) => code.textContent));
  const scim = async (method, path, body) => {
    const answer = await fetch(url + path, {
      method, headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/scim+json" }, body: JSON.stringify(body),
    });
    check(answer.ok, `${method} ${path}, got ${answer.status}`);
    return answer.json();
  };
  const pushed = [];
  for (let i = 10; i < 50; i += 1) {
    const user = await scim("POST", "/Users", {
      schemas: ["urn:ietf:params:scim:schemas:core:2.0:User"], userName: `person${i}@alpha.example`, externalId: `p${i}`, displayName: `Person ${i}`, active: true,
    });
    pushed.push(user.id);
  }

  step("three are locked at once, and unlocked");
  await admin.goto(`${base}/people?q=person&sort=name`);
  equal((await admin.$$("#result tbody tr")).length, 40, "people who were pushed");
  for (const box of (await admin.$$('#result input[name="id"]')).slice(0, 3)) await box.check();
  await admin.click('button:text-is("Lock …")');
  await admin.fill("#reason", "the audit");
  await look(admin, "lock-three");
  await admin.click('button:text-is("Lock")');
  await says(admin, "3 people locked.");
  await admin.goto(`${base}/people?state=locked`);
  equal((await admin.$$("#result tbody tr")).length, 3, "people who are locked");
  await look(admin, "locked");
  const [file] = await Promise.all([admin.waitForEvent("download"), admin.click('a:text-is("Download as CSV")')]);
  equal(readFileSync(await file.path(), "utf8").trim().split("\n").length, 4, "lines of the file");
  for (const box of await admin.$$('#result input[name="id"]')) await box.check();
  await admin.click('button:text-is("Unlock …")');
  await admin.click('button:text-is("Unlock")');
  await says(admin, "3 people unlocked.");

  step("one is deactivated, and reactivated");
  await admin.goto(`${base}/people/${pushed[5]}`);
  await admin.click('a:text-is("Deactivate …")');
  await admin.fill("#reason", "on leave");
  await admin.click('button:text-is("Deactivate")');
  await says(admin, "deactivated");
  check((await admin.textContent("main")).includes("May not come in"), "what the person's page says");
  await admin.click('a:text-is("Reactivate …")');
  await admin.click('button:text-is("Reactivate")');
  await says(admin, "reactivated");
  check((await admin.textContent("main")).includes("✓ May come in."), "what it says afterwards");

  step("their directory loses thirty people, and somebody takes it back");
  for (const id of pushed.slice(0, 30)) {
    await scim("PATCH", `/Users/${id}`, {
      schemas: ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], Operations: [{ op: "replace", path: "active", value: false }],
    });
  }
  await poll("the loss is noticed", async () => {
    await admin.goto(`${base}/provisioning`);
    return (await admin.textContent("main")).includes("people of independent");
  });
  await look(admin, "provisioning-loss");
  await admin.click('a:has-text("people of independent")');
  await look(admin, "loss");
  await admin.click('button:has-text("Undo ")');
  await says(admin, "restored");
  await admin.goto(`${base}/people?q=person&state=deactivated`);
  equal((await admin.$$("#result tbody tr")).length, 0, "people who are still out");

  step("what a client is called");
  await admin.goto(`${base}/settings`);
  await look(admin, "settings");
  await admin.fill("#organization", "Client");
  await admin.fill("#organizations", "Clients");
  await admin.click('button:text-is("Save")');
  await says(admin, "Saved.");
  await admin.goto(`${base}/people`);
  check((await admin.textContent("thead")).includes("Client"), "the word in the table");

  step("Ada's own account: her sessions, and how she reads times");
  const ada = await enter("ada");
  const elsewhere = await enter("ada");
  await ada.goto(`${base}/account`);
  await look(ada, "account");
  await ada.fill("#zone", "Asia/Tokyo");
  await ada.click('section button:text-is("Save")');
  await says(ada, "Saved.");
  const began = await ada.$eval("tbody time", (time) => ({ shown: time.textContent, at: time.dateTime }));
  const hour = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", timeZone: "Asia/Tokyo" }).format(new Date(began.at));
  check(began.shown.includes(hour), `her hour ${hour}, got ${began.shown}`);
  await ada.click('button:text-is("End the other session")');
  await says(ada, "All other sessions have ended.");
  equal((await whoami(elsewhere)).status, 401, "the other browser");
  equal((await whoami(ada)).status, 200, "this browser");

  step("Ben manages his own people, and gives nobody more than he may");
  const ben = await enter("ben");
  await ben.goto(`${base}/people?q=person1`);
  await look(ben, "managers-people");
  equal((await ben.$$("#result tbody tr")).length, 10, "people of his");
  await ben.goto(`${base}/people/${pushed[3]}`);
  check(!(await ben.$('a:text-is("Delete …")')), "no way to delete");
  await ben.click('a:text-is("Lock …")');
  await ben.fill("#reason", "asked by phone");
  await ben.click('button:text-is("Lock")');
  await says(ben, "locked");
  equal((await ben.goto(`${base}/audit`)).status(), 403, "the trail, for Ben");
  equal((await ben.goto(`${base}/connections`)).status(), 403, "connections, for Ben");

  step("and the trail has all of it");
  await admin.goto(`${base}/audit?action=person.locked`);
  await look(admin, "audit");
  check(/Independent ben/.test(await admin.textContent("tbody")) && /one-time link/.test(await admin.textContent("tbody")), "both who locked");
  await admin.click("tbody a");
  await admin.waitForSelector("text=This page keeps its address.");
  await look(admin, "event");
  const [trail] = await Promise.all([admin.waitForEvent("download"), admin.goto(`${base}/audit.csv?action=person.locked`).catch(() => {})]);
  equal(readFileSync(await trail.path(), "utf8").trim().split("\n").length, 5, "lines of the trail");
});
