// What a browser makes of the targets in web/testdata/redirects.json: Node's
// URL follows the URL Standard and shares nothing with the gate. It prints the
// file as it should be; "make e2e" compares.
import { readFileSync } from "node:fs";

const base = "https://gate.example/dir/";
const file = new URL("../web/testdata/redirects.json", import.meta.url);

function leads(target) {
  try {
    const u = new URL(target, base);
    return u.origin === "null" ? u.protocol : u.origin;
  } catch {
    return "nowhere";
  }
}

const entries = JSON.parse(readFileSync(file, "utf8")).map(({ target }) => ({ target, leads: leads(target) }));
const lines = entries.map((e) => "  " + JSON.stringify(e).replace(/[\u007f-\uffff]/g, (c) => "\\u" + c.charCodeAt(0).toString(16).padStart(4, "0")));
process.stdout.write("[\n" + lines.join(",\n") + "\n]\n");
