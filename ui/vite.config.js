// Builds the page into target/ui: three files with fixed names, packed, so that the program that
// serves them can hold them as they are.

import { readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const folder = new URL("../target/ui/", import.meta.url).pathname;

const pack = {
  name: "pack",
  closeBundle() {
    for (const name of readdirSync(folder)) {
      writeFileSync(`${folder}${name}.gz`, gzipSync(readFileSync(folder + name), { level: 9 }));
      rmSync(folder + name);
    }
  },
};

export default {
  base: "./",
  build: {
    outDir: folder,
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // Those that know "light-dark()", which the drawing reads.
    cssTarget: ["chrome123", "firefox120", "safari17.5"],
    rollupOptions: {
      output: { entryFileNames: "page.js", assetFileNames: "page[extname]" },
    },
  },
  plugins: [pack],
};
