import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

/** The service that `npm run dev` forwards to. */
const service = process.env.KILN_URL ?? "http://localhost:7860";

export default defineConfig({
  plugins: [react()],
  build: {
    outDir: "dist",
    // Everything is a file of its own: a strict Content-Security-Policy allows no data: scripts or styles.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: { proxy: { "/v1": { target: service, ws: true }, "/healthz": service } },
});
