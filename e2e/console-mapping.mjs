// The mapping in the console: edited with a look at who gains, proposed by
// one person, approved by another, and in force.
import { barriers, check, equal, poll, shot, tell } from "./browser.mjs";
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

  step("opening another form loses nothing that she filled in, with a script and without");
  const plain = await (await open({ javaScriptEnabled: false, storageState: await ada.context().storageState() })).newPage();
  await plain.goto(`${base}/mapping/edit?open=role:viewer`);
  await plain.fill("#f-tasks", "account.view\naccount.list");
  await plain.click('button:text-is("britain")');
  await plain.waitForSelector("text=This form is not in the text yet.");
  equal([await plain.inputValue("#f-tasks"), await plain.inputValue("#text")], ["account.view\naccount.list", good], "what she filled in, and the text");
  await plain.click('button:text-is("Stay")');
  await plain.click('button:text-is("britain")');
  await plain.click('button:text-is("Put it in and go on")');
  await plain.waitForSelector('h2:has-text("Change permission group britain")');
  const listed = good.replace("{tasks: [account.view]}", "{tasks: [account.view, account.list]}");
  equal(await plain.inputValue("#text"), listed, "the text with the one form, while the other is open");
  await plain.click('button:text-is("viewer")');
  await plain.waitForSelector('h2:has-text("Change role viewer")');

  step("what a form would break stands there first, and is put in all the same");
  await plain.click('button:text-is("Remove it from the text")');
  await plain.waitForSelector("text=This breaks:");
  equal(await plain.locator("#asked button[name=open]").evaluateAll((all) => all.map((button) => button.value)), ["role:manager", "rule:accounts", "test:managers edit reports"], "what breaks");
  equal(await plain.inputValue("#text"), listed, "the text before she is sure");
  await plain.click('#asked button[value="rule:accounts"]');
  await plain.waitForSelector('h2:has-text("Change rule accounts")');
  await plain.click('button:text-is("viewer")');
  await plain.click('button:text-is("Remove it from the text")');
  await plain.click('button:text-is("Remove it all the same")');
  await plain.waitForSelector("text=3 mistakes to mend");
  await plain.context().close();

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
    for (const [says, button] of [["This form is not in the text yet.", 'button:text-is("managers")'], ["This breaks:", 'button:text-is("Remove it from the text")']]) {
      await other.goto(`${base}/mapping/edit?open=role:viewer`);
      await other.fill("#f-tasks", "account.view\naccount.list");
      await other.click(button);
      await other.waitForSelector(`text=${says}`);
      await shot(other, `${name}-${says.replace(/[^a-z]+/gi, "-").slice(0, -1).toLowerCase()}`, { fullPage: true });
      if (options.javaScriptEnabled === false) continue;
      equal(await other.evaluate(() => document.activeElement.id), "asked", "where the focus is");
      equal(await barriers(other), [], `barriers at "${says}", ${name}`);
      const wide = await other.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      check(wide <= 0, `${name} "${says}" no wider than the window, got ${wide} px more`);
    }
    await context.close();
  }
});
