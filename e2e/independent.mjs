// What the stories at the independent provider share.
export const { E2E_GATE: gate, E2E_ISSUER: issuer } = process.env;

// interact fills in the provider's own forms.
export async function interact(page, person) {
  await page.fill('input[name="login"]', person);
  await page.fill('input[name="password"]', "any");
  await page.click('button[type="submit"]');
  await page.click('button[type="submit"]:text-is("Continue")');
}

// whoami asks with the page's cookies, from beside it: the gate's own pages
// let no script connect anywhere.
export const whoami = async (page) => {
  const answer = await page.context().request.get(`${gate}/.portcullis/whoami`, { headers: { Accept: "application/json" } });
  return { ...(await answer.json()), status: answer.status() };
};
