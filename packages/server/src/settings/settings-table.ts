import { describeSettings } from "./describe.ts";

/** The table of docs/configuration.md: every setting, its default, its meaning. `scripts/configuration-page.mjs` writes it there. */
export function settingsTable(): string {
  const rows = describeSettings().map(({ name, default: fallback, about, secret }) => {
    const shown = fallback === undefined ? "" : fallback === "" ? "(empty)" : `\`${fallback}\``;
    return `| \`${name}\` | ${shown} | ${about}${secret ? " Secret." : ""} |`;
  });
  return ["| setting | default | meaning |", "|---|---|---|", ...rows].join("\n");
}
