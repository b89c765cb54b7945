// Builds the browser side: static/src -> static/dist, with hashed names and a manifest that templates read.
//   node build.mjs            the console
//   node build.mjs --tests    unit tests, for `npm test`
//   node build.mjs --watch    the console again after each change
import { createHash } from "node:crypto";
import { mkdir, readFile, readdir, rename, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import * as esbuild from "esbuild";
import { ICONS } from "./static/src/icons.mjs";

const root = path.dirname(fileURLToPath(import.meta.url));
const source = path.join(root, "static", "src");
const dist = path.join(root, "static", "dist");
const require = createRequire(import.meta.url);

const ENTRIES = ["app.ts", "theme.ts", "topology.ts", "logs.ts", "terminal.ts", "styles/app.css", "styles/terminal.css"];

async function sprite() {
  const folder = path.join(path.dirname(require.resolve("@tabler/icons/package.json")), "icons", "outline");
  const symbols = await Promise.all(
    ICONS.map(async (name) => {
      const drawing = await readFile(path.join(folder, `${name}.svg`), "utf8");
      const shapes = drawing
        .replace(/^[\s\S]*?<svg[\s\S]*?>/, "")
        .replace(/<\/svg>\s*$/, "")
        .replace(/<path stroke="none" d="M0 0h24v24H0z" fill="none" ?\/>/, "")
        .replace(/\s+/g, " ")
        .trim();
      return `<symbol id="${name}" viewBox="0 0 24 24">${shapes}</symbol>`;
    }),
  );
  return `<svg xmlns="http://www.w3.org/2000/svg">${symbols.join("")}</svg>\n`;
}

function hashed(name, content) {
  const { name: stem, ext } = path.parse(name);
  const digest = createHash("sha256").update(content).digest("hex").slice(0, 10);
  return `${stem}-${digest}${ext}`;
}

/** Beside each file that browsers load lies its compressed twin, which the web server sends to those who take it. */
async function compress(folder) {
  for (const name of await readdir(folder)) {
    if (!/\.(js|css|svg)$/.test(name)) continue;
    const content = await readFile(path.join(folder, name));
    const size = { [constants.BROTLI_PARAM_SIZE_HINT]: content.length };
    await writeFile(path.join(folder, `${name}.br`), brotliCompressSync(content, { params: size }));
    await writeFile(path.join(folder, `${name}.gz`), gzipSync(content, { level: 9 }));
  }
}

async function build() {
  const staging = `${dist}.new`;
  await rm(staging, { recursive: true, force: true });
  await mkdir(staging, { recursive: true });
  const result = await esbuild.build({
    absWorkingDir: root,
    entryPoints: ENTRIES.map((entry) => path.join(source, entry)),
    outdir: staging,
    outbase: source,
    entryNames: "[name]-[hash]",
    chunkNames: "part-[hash]",
    assetNames: "[name]-[hash]",
    bundle: true,
    splitting: true,
    format: "esm",
    target: ["es2022"],
    minify: true,
    sourcemap: true,
    sourcesContent: false,
    legalComments: "linked",
    metafile: true,
    logLevel: "warning",
  });
  const manifest = {};
  for (const [file, output] of Object.entries(result.metafile.outputs)) {
    if (!output.entryPoint) continue;
    const entry = path.relative(source, path.join(root, output.entryPoint)).replace(/\.ts$/, ".js");
    manifest[path.basename(entry)] = path.basename(file);
  }
  const icons = await sprite();
  const logo = await readFile(path.join(source, "logo.svg"));
  manifest["logo.svg"] = hashed("logo.svg", logo);
  await writeFile(path.join(staging, manifest["logo.svg"]), logo);
  manifest["icons.svg"] = hashed("icons.svg", icons);
  await writeFile(path.join(staging, manifest["icons.svg"]), icons);
  await compress(staging);
  await writeFile(path.join(staging, "manifest.json"), `${JSON.stringify(manifest, null, 2)}\n`);
  await rm(dist, { recursive: true, force: true });
  await rename(staging, dist);
  return manifest;
}

async function buildTests() {
  const outdir = path.join(root, "static", "dist-tests");
  await rm(outdir, { recursive: true, force: true });
  const found = [];
  for (const folder of ["", "live", "shell", "topology", "forms", "terminal", "logs"]) {
    for (const name of await readdir(path.join(source, folder))) {
      if (name.endsWith(".test.ts")) found.push(path.join(source, folder, name));
    }
  }
  await esbuild.build({
    entryPoints: found,
    outdir,
    outbase: source,
    bundle: true,
    platform: "node",
    format: "esm",
    target: ["node18"],
    outExtension: { ".js": ".mjs" },
    logLevel: "warning",
  });
}

if (process.argv.includes("--tests")) {
  await buildTests();
} else {
  const manifest = await build();
  console.log(Object.values(manifest).join("\n"));
  if (process.argv.includes("--watch")) {
    const { watch } = await import("node:fs");
    let timer;
    watch(source, { recursive: true }, () => {
      clearTimeout(timer);
      timer = setTimeout(() => build().catch((error) => console.error(error.message)), 100);
    });
  }
}
