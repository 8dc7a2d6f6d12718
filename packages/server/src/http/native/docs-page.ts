/** A page that lists the document's operations. It loads nothing from anywhere. */
export function docsPage(document: Record<string, unknown>): string {
  const paths = (document.paths ?? {}) as Record<string, Record<string, { summary?: string; tags?: string[] }>>;
  const rows = Object.entries(paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(([method, operation]) => ({
      path,
      method: method.toUpperCase(),
      summary: operation.summary ?? "",
      tag: operation.tags?.[0] ?? "",
    })),
  );
  const tags = [...new Set(rows.map(({ tag }) => tag))];
  const sections = tags.map((tag) => {
    const own = rows.filter((row) => row.tag === tag);
    const lines = own.map(
      ({ path, method, summary }) =>
        `<tr><td><code>${escapeHtml(method)}</code></td><td><code>${escapeHtml(path)}</code></td><td>${escapeHtml(summary)}</td></tr>`,
    );
    return `<h2>${escapeHtml(tag)}</h2><table>${lines.join("")}</table>`;
  });
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Kiln API</title><style>
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}
table{border-collapse:collapse;width:100%}td{padding:.25rem .75rem .25rem 0;vertical-align:top}td:first-child{width:5rem}
</style></head><body><h1>Kiln API</h1><p>The whole description is <a href="/openapi.json">/openapi.json</a> (OpenAPI 3.1).</p>${sections.join("")}</body></html>`;
}

function escapeHtml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
