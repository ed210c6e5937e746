// A sign-in at an identity provider that somebody else wrote, and out of it
// both ways.
import { check, equal, poll, shot, tell } from "./browser.mjs";
import { gate, issuer, whoami } from "./independent.mjs";

const people = {
  ada: { name: "Independent ada", email: "ada@alpha.example", groups: "Portfolio-Managers,Canteen", roles: ["manager", "viewer"] },
  ben: { name: "Independent ben", email: "ben@alpha.example", groups: "Accounts-ALP0001", roles: ["viewer"] },
  dan: { name: "Independent dan", email: "dan@alpha.example", groups: "" },
};

// A provider's form, how to fill it in, how to sign out over there, and
// whether it knows a browser that was there before.
const providers = {
  simplesamlphp: {
    form: 'input[name="username"]',
    async signIn(page, person) {
      await page.fill('input[name="username"]', person);
      await page.fill('input[name="password"]', "any");
      await page.press('input[name="password"]', "Enter");
    },
    async signOut(page) {
      const back = `${issuer}/module.php/core/frontpage_welcome.php`;
      await page.goto(`${issuer}/saml2/idp/SingleLogoutService.php?ReturnTo=${encodeURIComponent(back)}`);
      await page.waitForURL(`${issuer}/module.php/core/frontpage_welcome.php**`);
    },
    remembers: true,
  },
  "saml-idp": {
    form: "#userName",
    async signIn(page, person) {
      const who = { userName: person, displayName: people[person].name, email: people[person].email, groups: people[person].groups };
      await page.evaluate((values) => {
        for (const [id, value] of Object.entries(values)) document.getElementById(id).value = value;
        document.querySelector("form.form-profile").submit();
      }, who);
    },
  },
  keycloak: {
    form: 'input[name="username"]',
    async signIn(page, person) {
      await page.fill('input[name="username"]', person);
      await page.fill('input[name="password"]', "any");
      await page.press('input[name="password"]', "Enter");
    },
    // Its account page is not asked for: the realm's own logout is.
    async signOut(page) {
      await page.goto(`${issuer}/protocol/openid-connect/logout`);
      await page.click("#kc-logout");
      await page.waitForSelector("#kc-info-message, .kc-feedback-text, .instruction");
    },
    remembers: true,
  },
};
const provider = providers[process.env.E2E_PROVIDER];

// signIn goes from a deep link to the provider's form and back.
async function signIn(page, person, path) {
  await page.goto(gate + path);
  await page.waitForSelector(provider.form);
  check(page.url().startsWith(new URL(issuer).origin), `the provider, got ${page.url()}`);
  await provider.signIn(page, person);
}

async function signedIn(page, person, path) {
  await page.waitForURL(gate + path);
  const who = await whoami(page);
  equal([who.status, who.connection, who.name, who.email, who.roles], [200, "independent", process.env.E2E_NAME ?? people[person].name, people[person].email, people[person].roles], "whoami");
  const told = JSON.parse(await page.textContent("body"));
  equal([told.user, told.roles], [who.subject, who.roles.join(",")], "what the portal is told");
}

async function signOut(page) {
  await page.goto(`${gate}/.portcullis/sign-out`);
  await page.click('button[type="submit"]');
  await page.waitForSelector('h1:text-is("You are signed out")');
  check(page.url().startsWith(gate), `the signed-out page, got ${page.url()}`);
  equal((await whoami(page)).status, 401, "whoami after the sign-out");
  await page.goto(`${gate}/`);
  await page.waitForSelector(provider.form); // the provider has forgotten, too
}

await tell(async ({ open, step }) => {
  const page = await (await open()).newPage();
  if (process.env.E2E_REFUSED) {
    step("refused, with a reference");
    await signIn(page, "ada", "/deep/link?a=b");
    await page.waitForSelector(".reference code");
    check(page.url().startsWith(gate), `a page of the gate, got ${page.url()}`);
    equal((await whoami(page)).status, 401, "whoami");
    return;
  }

  step("from a deep link to the provider, and back to it");
  await signIn(page, "ada", "/deep/link?a=b");
  await signedIn(page, "ada", "/deep/link?a=b");
  await shot(page, "signed-in");

  if (!process.env.E2E_BRIEF && provider.remembers) {
    step("a second sign-in meets the provider's own session");
    await page.goto(`${gate}/.portcullis/sign-in/independent?return_to=/again`);
    await page.waitForURL(`${gate}/again`);
  }

  step("sign out here, and there by it");
  await signOut(page);
  if (process.env.E2E_BRIEF) return;

  step("somebody else, with other groups");
  await provider.signIn(page, "ben");
  await signedIn(page, "ben", "/");

  step("whoever has no group is told so");
  const dan = await (await open()).newPage();
  await signIn(dan, "dan", "/");
  await dan.waitForSelector(".reference code");
  equal(await dan.evaluate(() => performance.getEntriesByType("navigation")[0].responseStatus), 403, "status");
  await shot(dan, "refused");

  if (provider.signOut) {
    step("sign out there, and here by it");
    const ada = await (await open()).newPage();
    await signIn(ada, "ada", "/");
    await signedIn(ada, "ada", "/");
    await provider.signOut(page);
    await poll("the end of the session here", async () => (await whoami(page)).status === 401, 5_000);
    equal((await whoami(ada)).status, 200, "whoami of somebody else");
  }
});
