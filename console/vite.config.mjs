// Builds the console into the server crate: one page, one script, one style sheet, and SOURCES, the
// hash of what they were built from. `cargo xtask tidy` compares that with the sources.

import { createHash } from "node:crypto";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";

const here = fileURLToPath(new URL(".", import.meta.url));
const target = process.env.CROSSBILL_CONSOLE_OUT ?? join(here, "../crates/server/assets");

/** The files that decide what is built, in order of their names. */
function sources() {
  const named = ["index.html", "package-lock.json", "package.json", "tsconfig.json", "vite.config.mjs"];
  const below = ["public", "src"].flatMap((folder) =>
    readdirSync(join(here, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && !entry.name.includes(".test."))
      .map((entry) => join(entry.parentPath, entry.name).slice(here.length)),
  );
  return [...named, ...below].sort();
}

/** SHA-256 over each file's name and content, each ended by a zero. */
function hash() {
  const sum = createHash("sha256");
  for (const name of sources()) {
    sum.update(name).update("\0").update(readFileSync(join(here, name))).update("\0");
  }
  return sum.digest("hex");
}

export default defineConfig({
  root: here,
  base: "./",
  build: {
    outDir: target,
    emptyOutDir: true,
    target: "es2022",
    assetsDir: "console",
    modulePreload: false,
    cssCodeSplit: false,
    rollupOptions: {
      output: {
        entryFileNames: "console/console.js",
        assetFileNames: (asset) =>
          asset.names.some((name) => name.endsWith(".css")) ? "console/console.css" : "console/[name][extname]",
        codeSplitting: false,
      },
    },
  },
  plugins: [
    {
      name: "sources",
      closeBundle() {
        writeFileSync(join(target, "SOURCES"), `${hash()}\n`);
      },
    },
  ],
});
