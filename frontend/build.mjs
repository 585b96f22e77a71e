// Bundle the scripts that enrich pages into the Python package; a page loads `app.js`, which loads the rest when it is needed.
import { readFile, readdir, rm, writeFile } from "node:fs/promises";
import { build } from "esbuild";

const target = new URL("../cityorchestra_ld/web/static/build/", import.meta.url).pathname;

await rm(target, { recursive: true, force: true });
const { metafile } = await build({
  entryPoints: [new URL("src/app.ts", import.meta.url).pathname],
  outdir: target,
  bundle: true,
  splitting: true,
  format: "esm",
  target: ["es2022"],
  minify: true,
  legalComments: "none",
  metafile: true,
  chunkNames: "[name]-[hash]",
  logLevel: "warning",
});

// What is bundled travels with its licences.
const packages = new Set(Object.keys(metafile.inputs).flatMap((input) => input.match(/node_modules\/((?:@[^/]+\/)?[^/]+)/)?.[1] ?? []));
const notices = [];
for (const name of [...packages].sort()) {
  const folder = new URL(`node_modules/${name}/`, import.meta.url);
  const { version, license } = JSON.parse(await readFile(new URL("package.json", folder), "utf8"));
  const file = (await readdir(folder)).find((entry) => /^licen[cs]e/i.test(entry));
  notices.push(`${name} ${version} (${license})\n\n${file ? await readFile(new URL(file, folder), "utf8") : ""}`);
}
await writeFile(`${target}licences.txt`, notices.join("\n----------\n\n"));
