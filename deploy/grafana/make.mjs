// Writes dashboards/*.json. With --check it only compares them and fails if one differs.

import { readFileSync, writeFileSync } from "node:fs";
import cheating from "./cheating.mjs";
import overview from "./overview.mjs";
import stores from "./stores.mjs";

let stale = 0;
for (const dashboard of [overview, cheating, stores]) {
  const file = new URL(`dashboards/${dashboard.uid}.json`, import.meta.url);
  const text = `${JSON.stringify(dashboard, null, 2)}\n`;
  if (!process.argv.includes("--check")) {
    writeFileSync(file, text);
  } else if (readFileSync(file, "utf8") !== text) {
    console.error(`${file.pathname} is out of date: run node deploy/grafana/make.mjs`);
    stale += 1;
  }
}
process.exitCode = stale && 1;
