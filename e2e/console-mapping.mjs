// The mapping in the console: edited with a look at who gains, proposed by
// one person, approved by another, and in force.
import { check, equal, poll, shot, tell } from "./browser.mjs";
import { gate, interact, whoami } from "./independent.mjs";

const base = `${gate}/.portcullis/admin`;

await tell(async ({ open, step }) => {
  const enter = async (person, path) => {
    const page = await (await open()).newPage();
    await page.goto(`${gate}/desk`);
    await interact(page, person);
    await page.waitForURL(`${gate}/desk`);
    await page.goto(base + path);
    return page;
  };

  step("Ben and Ada sign in");
  const ben = await enter("ben", "/approvals");
  await shot(ben, "approvals-empty", { fullPage: true });
  const ada = await enter("ada", "/mapping");
  await shot(ada, "mapping", { fullPage: true });

  step("a mistake is named while one types");
  await ada.click('a:text-is("Change it …")');
  await ada.waitForSelector("#text");
  const good = await ada.inputValue("#text");
  await ada.fill("#text", good.replace("roles: [viewer, checker]", "roles: [veiwer, checker]"));
  await poll("the mistake", async () => /did you mean/.test(await ada.textContent("#check")));
  check(/mapping\.yaml:18:/.test(await ada.textContent("#check")), "the place of the mistake");
  await shot(ada, "editor-mistake", { fullPage: true });

  step("who gains stands there before anything is saved");
  await ada.fill("#text", good);
  await ada.click('summary:text-is("Edit with a form")');
  await ada.click('button:text-is("accounts")');
  await ada.waitForSelector("#form");
  await shot(ada, "form", { fullPage: true });
  await ada.fill("#f-value-0", "Accounts-(");
  await ada.selectOption('#form select[name="selector"] >> nth=0', "regex");
  await ada.fill("#f-from", "soon");
  await ada.click('button:text-is("Put it into the text")');
  await ada.waitForSelector("text=Not saved.");
  equal(await ada.locator("[aria-invalid=true]").evaluateAll((all) => all.map((field) => field.id)), ["f-value-0", "f-from"], "the fields that are wrong");
  equal([await ada.inputValue("#f-value-0"), await ada.inputValue("#f-from"), await ada.inputValue("#text")], ["Accounts-(", "soon", good], "what was typed, and the text");
  equal(await ada.evaluate(() => document.activeElement.id), "f-value-0", "where the focus is");
  await shot(ada, "form-mistakes", { fullPage: true });
  await ada.fill("#f-value-0", "Accounts-*");
  await ada.selectOption('#form select[name="selector"] >> nth=0', "name");
  await ada.fill("#f-from", "");
  await ada.check('#form input[name="roles"][value="manager"]');
  await ada.click('button:text-is("Put it into the text")');
  await poll("one gains", async () => /1 gain/.test(await ada.textContent("#check .tally")));
  check((await ada.inputValue("#text")) === good.replace("roles: [viewer, checker]", "roles: [viewer, checker, manager]"), "one line is changed, and comments are kept");
  await ada.click('button:text-is("Show who")');
  await poll("his name", async () => /Independent ben/.test(await ada.textContent("#check")));
  await shot(ada, "editor", { fullPage: true });

  step("Ada proposes it");
  await ada.fill("#reason", "Ben takes over the desk");
  await ada.click('button:text-is("Propose")');
  await ada.waitForSelector("text=Waiting for a second person");
  await shot(ada, "proposed", { fullPage: true });
  check(!(await ada.$('button:text-is("Approve and put in force")')), "no button to approve one's own");

  step("Ben approves it: it is in force, and he has it");
  equal((await whoami(ben)).roles, ["checker", "viewer"], "roles of Ben before");
  await ben.goto(`${base}/approvals`);
  await shot(ben, "approvals", { fullPage: true });
  await ben.click('a:text-is("Look at it and decide")');
  await ben.waitForSelector("text=Who gains and who loses");
  await shot(ben, "decide", { fullPage: true });
  await ben.click('button:text-is("Approve and put in force")');
  await ben.waitForSelector("text=In force, in every gate within a second.");
  await poll("his new role", async () => (await whoami(ben)).roles.join() === "checker,manager,viewer", 5_000);
  await shot(ben, "in-force", { fullPage: true });

  step("who could do it, why, and who made it so");
  await ada.goto(`${base}/access?task=report.edit`);
  check(/2 people/.test(await ada.textContent("main")) && /approved by Independent ben/.test(await ada.textContent("main")), "both, and the approver");
  await shot(ada, "access", { fullPage: true });
  await ada.goto(`${base}/access?row=account%3DABC0001%2Ccountry%3DUS`);
  await shot(ada, "access-row", { fullPage: true });
  await ada.click("tbody a");
  await ada.waitForSelector("#what-if");
  await ada.fill("#w-with", "Accounts-1");
  await ada.click('button:text-is("Try")');
  await ada.waitForSelector("text=they may come in");
  await shot(ada, "what-if", { fullPage: true });
  await ada.click('a:text-is("Record this person as a test of the mapping …")');
  await ada.waitForSelector("text=A test was added");
  await shot(ada, "recorded", { fullPage: true });

  step("every screen, dark and small, and without a script");
  const person = new URL((await ada.context().newPage().then(async (p) => { await p.goto(`${base}/access?role=manager`); return p.getAttribute("tbody a", "href"); })), base).pathname.replace("/.portcullis/admin", "");
  for (const [name, options] of [["light", {}], ["dark", { colorScheme: "dark" }], ["small", { viewport: { width: 320, height: 640 } }], ["plain", { javaScriptEnabled: false }]]) {
    const context = await open({ ...options, storageState: await ada.context().storageState() });
    const other = await context.newPage();
    for (const path of ["/mapping", "/mapping/edit", "/mapping/edit?open=rule:managers", "/mapping/edit?open=group:all", "/mapping/coverage", "/mapping/1?names=yes", "/approvals", "/roles", "/roles/compare?a=viewer&b=manager", "/permission-groups?row=country%3DGB", "/access?role=manager", person]) {
      await other.goto(base + path);
      await shot(other, `${name}-${path.replace(/[^a-z]+/g, "-").slice(1, 40)}`, { fullPage: true });
      const wide = options.javaScriptEnabled === false ? 0 : await other.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      check(wide <= 0, `${name} ${path} no wider than the window, got ${wide} px more`);
    }
    await context.close();
  }
});
