import preact from "@preact/preset-vite";
import { defineConfig } from "vite";

export default defineConfig({
  base: "/static/",
  publicDir: false,
  plugins: [preact()],
  build: {
    outDir: "frontend/dist",
    emptyOutDir: true,
    manifest: "manifest.json",
    target: "es2022",
    cssTarget: ["chrome123", "firefox120", "safari17.5"],
    // The content security policy allows no data: fonts or scripts.
    assetsInlineLimit: 0,
    rolldownOptions: {
      input: ["frontend/pages/site.ts", "frontend/pages/editor.ts", "frontend/api/early.ts"],
      // How long plugins took is of no use to who starts the server.
      checks: { pluginTimings: false },
    },
  },
  worker: { format: "es" },
});
