// @ts-check
/**
 * Builds what the server serves into src/footfall/web/static/built/, packed as well, and fails where a file is too large.
 *
 * The snippet's files keep their names. All others, made from what is there of ENTRIES, carry a hash of their content in their
 * names; manifest.json says what each is called. `node build.mjs --sizes` builds in memory and only looks at the sizes.
 */

import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { build } from "esbuild";

const HERE = dirname(fileURLToPath(import.meta.url));
const OUT = join(HERE, "../src/footfall/web/static/built");

/** The snippet's files: name as served, source, and the most bytes it may have gzipped. */
const SNIPPET = [
  { name: "footfall", source: "src/snippet/core.ts", most: 1_000 },
  { name: "footfall-spans", source: "src/snippet/spans.ts", most: 2_500 },
];

/** The modules of our own pages, by name: each is built if its source is there. */
const ENTRIES = { dashboard: "src/dashboard/main.ts", home: "src/home.ts" };

/** The most bytes that all files of our own pages may have together, gzipped. */
const MOST_OF_PAGES = 130_000;

/** @satisfies {import("esbuild").BuildOptions} */
const COMMON = {
  absWorkingDir: HERE,
  outdir: OUT,
  bundle: true,
  minify: true,
  write: /** @type {const} */ (false),
  charset: /** @type {const} */ ("utf8"),
  logLevel: /** @type {const} */ ("warning"),
};

const snippet = await build({
  ...COMMON,
  entryPoints: SNIPPET.map(({ name, source }) => ({ in: source, out: name })),
  format: "iife",
  // What browsers have that know import(), but not the syntax that came later.
  target: "es2017",
  supported: { "dynamic-import": true, "optional-catch-binding": true },
  legalComments: "none",
  tsconfigRaw: {}, // our strict types would cost a "use strict"
});

const pages = await build({
  ...COMMON,
  entryPoints: Object.entries(ENTRIES)
    .filter(([, source]) => existsSync(join(HERE, source)))
    .map(([name, source]) => ({ in: source, out: name })),
  entryNames: "[name]-[hash]",
  chunkNames: "chunk-[hash]",
  assetNames: "[name]-[hash]",
  format: "esm",
  splitting: true,
  target: "es2022",
  loader: { ".woff2": "file", ".svg": "file" },
  legalComments: "linked",
  metafile: true,
});

/** What a hashed file is called without its hash. @param {string} name */
const unhashed = (name) => name.replace(/-[0-9A-Z]{8}(?=\.)/, "");

const hashed = pages.outputFiles.map((file) => basename(file.path)).sort();
const manifest = Object.fromEntries(hashed.map((name) => [name.startsWith("chunk-") ? name : unhashed(name), name]));

/** @type {Map<string, Uint8Array>} */
const files = new Map();
for (const { path, contents } of [...snippet.outputFiles, ...pages.outputFiles]) files.set(basename(path), contents);

/** @param {Uint8Array | undefined} contents */
const packed = (contents) => gzipSync(contents ?? "", { level: 9 }).length;

let isTooLarge = false;
/** @param {string} what @param {number} size @param {number} most */
function judge(what, size, most) {
  console.log(`${what}: ${size} of ${most} bytes gzipped`);
  isTooLarge ||= size > most;
}
for (const { name, most } of SNIPPET) judge(`${name}.js`, packed(files.get(`${name}.js`)), most);
const code = hashed.filter((name) => /\.(js|css)$/.test(name)).map((name) => packed(files.get(name)));
if (code.length) {
  const sum = code.reduce((total, size) => total + size, 0);
  judge("modules of our own pages", sum, MOST_OF_PAGES);
}
if (isTooLarge) {
  console.error("Too large: make it smaller, or argue for a new bound in build.mjs.");
  process.exit(1);
}

if (!process.argv.includes("--sizes")) {
  files.set("manifest.json", Buffer.from(`${JSON.stringify(manifest, null, 2)}\n`));
  const fresh = `${OUT}.new`;
  rmSync(fresh, { recursive: true, force: true });
  mkdirSync(fresh, { recursive: true });
  for (const [name, contents] of files) {
    writeFileSync(join(fresh, name), contents);
    if (!/\.(js|css|svg)$/.test(name)) continue;
    writeFileSync(join(fresh, `${name}.gz`), gzipSync(contents, { level: 9 }));
    const params = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: contents.length };
    writeFileSync(join(fresh, `${name}.br`), brotliCompressSync(contents, { params }));
  }
  rmSync(OUT, { recursive: true, force: true });
  renameSync(fresh, OUT);
}
