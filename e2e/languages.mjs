// The pages that everybody meets, in their languages: at 320 px, in both themes,
// and without a barrier that axe finds.
import { barriers, check, equal, shot, tell } from "./browser.mjs";

const { E2E_PORTAL: portal, E2E_CONSOLE: link } = process.env;
const base = `${portal}/.portcullis/admin`;

await tell(async ({ open, step }) => {
  step("Ben signs in");
  const page = await (await open()).newPage();
  await page.goto(`${portal}/accounts`);
  await page.click('a.choice:text-is("Alpha")');
  await page.click('[data-testid="person-ben"]');
  await page.waitForURL(`${portal}/accounts`);
  const bens = await page.context().storageState();

  step("in German and French, before anybody is known");
  const looks = async (page, name, lang) => {
    equal(await page.evaluate(() => document.documentElement.lang), lang, `the language of ${name}`);
    equal(await barriers(page), [], `barriers of ${name}, ${lang}`);
    check(await page.evaluate(() => document.documentElement.scrollWidth <= document.documentElement.clientWidth), `${name} in the window, ${lang}`);
    await shot(page, `${name}-${lang}`, { fullPage: true });
  };
  const small = { viewport: { width: 320, height: 640 } };
  for (const [locale, lang, colorScheme, title, nowhere] of [
    ["de-CH", "de", "light", "Anmelden", "Diese Seite gibt es nicht."], ["fr-CA", "fr", "dark", "Se connecter", "Cette page n’existe pas."],
  ]) {
    const page = await (await open({ ...small, locale, colorScheme })).newPage();
    await page.goto(`${portal}/accounts`);
    equal(await page.textContent("h1"), title, "the title of the sign-in");
    await looks(page, "sign-in", lang);
    await page.goto(`${portal}/.portcullis/sign-out`);
    await looks(page, "signed-out", lang);
    await page.goto(`${portal}/.portcullis/nothing-here`);
    equal(await page.textContent("h1"), nowhere, "a page that is not there");
    await looks(page, "not-there", lang);
    await page.goto(link);
    await looks(page, "link", lang);
    await page.context().close();
  }

  step("Ben chooses German, and his browser asks for French");
  const german = await (await open({ ...small, locale: "fr-FR", storageState: bens })).newPage();
  await german.goto(`${base}/account`);
  await looks(german, "account", "fr");
  await german.selectOption("#language", "de");
  await german.click('button[type=submit]:text-is("Enregistrer")');
  await german.waitForSelector('[role=status]:text-is("Gespeichert.")');
  await looks(german, "account", "de");
  await german.keyboard.press("?");
  await german.waitForSelector('dialog[aria-label="Tasten"]');
  equal(await barriers(german), [], "barriers of the list of keys in German");
  await german.keyboard.press("Escape");
  await german.goto(`${base}/people`);
  equal(await german.textContent("h1"), "Diese Seite gibt es nicht.", "a refusal in the language of his own");
  await looks(german, "refused", "de");
  await german.goto(`${portal}/.portcullis/sign-out`);
  await looks(german, "sign-out", "de");
  await german.context().close();
});
