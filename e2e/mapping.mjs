// The mapping file is edited under a running gate, with a browser signed in.
import { execFile } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { check, equal, poll, shot, tell } from "./browser.mjs";
import { gate, interact, whoami } from "./independent.mjs";

const { E2E_MAPPING: file, E2E_PROGRAM: program, E2E_DIR: cwd, E2E_OPS: ops } = process.env;

const good = readFileSync(file, "utf8");

// edit changes one text of the file; it must be there.
function edit(from, to) {
  check(good.includes(from), `${from} in the mapping file`);
  writeFileSync(file, good.replace(from, to));
}

const told = async (page) => JSON.parse(await page.textContent("body"));
const metrics = async () => (await fetch(`${ops}/metrics`)).text();

// doctor gives its exit code and what it says of the mapping.
const doctor = () => new Promise((resolve) => {
  execFile(program, ["doctor", "--json"], { cwd }, (error, stdout) => {
    resolve({ code: error ? error.code : 0, mapping: JSON.parse(stdout).filter((d) => d.what === "mapping") });
  });
});

await tell(async ({ open, step }) => {
  step("sign in, with the rights of the file as it is");
  const page = await (await open()).newPage();
  await page.goto(`${gate}/desk`);
  await interact(page, "ada");
  await page.waitForURL(`${gate}/desk`);
  equal((await told(page)).roles, "manager,viewer", "roles at the portal");

  step("an edit: the next request has the new rights");
  edit("grant: {roles: [manager]", "grant: {roles: [viewer]");
  const begin = Date.now();
  await poll("the new rights", async () => (await whoami(page)).roles.join() === "viewer", 5_000); // a second on an idle machine
  console.log(`  in force after ${Date.now() - begin} ms`);
  await page.reload();
  equal((await told(page)).roles, "viewer", "roles at the portal");
  check(/^portcullis_mapping_broken 0$/m.test(await metrics()), "a metric that nothing is broken");
  await shot(page, "mapping-edited");

  step("a broken edit changes nothing, and is reported in the metric and by doctor");
  edit("grant: {roles: [manager]", "grant: {roles: [veiwer]");
  await poll("the metric", async () => /^portcullis_mapping_broken 1$/m.test(await metrics()), 5_000);
  await page.reload();
  equal((await told(page)).roles, "viewer", "roles at the portal");
  equal((await whoami(page)).tasks, ["account.view"], "tasks");
  const ill = await doctor();
  equal(ill.code, 1, "exit code of doctor");
  equal(ill.mapping.map((d) => d.status), ["broken"], "mapping at doctor");
  check(/mapping\.yaml:12:\d+: unknown role "veiwer"; did you mean "viewer"/.test(ill.mapping[0].detail), `the place of the mistake, got ${ill.mapping[0].detail}`);
  equal((await fetch(`${ops}/readyz`)).status, 200, "readiness with the last good revision");

  step("mended");
  edit("", "");
  await poll("the rights of the beginning", async () => (await whoami(page)).roles.join() === "manager,viewer", 5_000);
  check(/^portcullis_mapping_broken 0$/m.test(await metrics()), "a metric that nothing is broken");
  const well = await doctor();
  equal(well.mapping.map((d) => d.status), ["fine"], "mapping at doctor");

  step("a file that gives nothing: signed out, with the reason");
  edit("name: Portfolio-Managers", "name: Somebody-Else");
  await poll("the end", async () => (await whoami(page)).status === 401, 5_000);
  await page.goto(`${gate}/desk`);
  await page.waitForSelector(".reference code");
  check(/none of your groups gives access/i.test(await page.textContent("body")), `the reason, got ${await page.textContent("body")}`);
  await shot(page, "mapping-took-everything");
});
