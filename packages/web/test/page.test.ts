import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { findChromium, type OpenedPage, openBrowser, openPage } from "./browser.ts";
import { type Service, startService } from "./service.ts";

const chromium = findChromium();
if (chromium === undefined) console.error("Skipped: no Chromium on this machine; install it, or set CHROMIUM_PATH.");

const PROMPT = "a red house on green hills at sunset";

describe.skipIf(chromium === undefined)("the page", () => {
  let service: Service;
  let browser: Browser;
  const opened: OpenedPage[] = [];

  beforeAll(async () => {
    service = await startService();
    browser = await openBrowser(chromium ?? "");
  });
  afterEach(async () => {
    for (const { page } of opened.splice(0)) await page.context().close();
  });
  afterAll(async () => {
    await browser?.close();
    await service?.end();
  });

  async function open(options?: Parameters<typeof openPage>[2]): Promise<OpenedPage> {
    const page = await openPage(browser, service.url, options);
    opened.push(page);
    await page.page.getByRole("heading", { name: "Recent" }).waitFor();
    return page;
  }

  it("loads nothing from elsewhere and gives the browser nothing to complain of", async () => {
    const { page, complaints, strangers } = await open();
    await generate(page, PROMPT);
    await finished(page);
    expect(complaints).toEqual([]);
    expect(strangers).toEqual([]);
  });

  it("shows the picture forming, then the picture with what made it", async () => {
    const { page } = await open();
    await page.getByLabel("Steps", { exact: true }).fill("30");
    await generate(page, PROMPT);
    await page.getByRole("progressbar").waitFor();
    await page.getByText(/^Step \d+ of 30/).waitFor();
    if (service.draws) await page.locator(".frame-preview").waitFor();
    expect(await page.title()).toMatch(/^\d+ % · Kiln$/);
    await finished(page);
    const picture = page.getByRole("img", { name: PROMPT });
    expect(await picture.evaluate((image: HTMLImageElement) => [image.naturalWidth, image.naturalHeight])).toEqual([256, 256]);
    expect(await parameter(page, "Steps")).toBe("30");
    expect(await parameter(page, "Seed")).toMatch(/^\d+$/);
    await expect.poll(() => page.locator("[aria-live=polite]").last().textContent()).toMatch(/^The picture is finished/);
    expect(await page.title()).toBe("Kiln");
  });

  it("makes the same picture again from its settings", async () => {
    const { page } = await open();
    await generate(page, PROMPT);
    await finished(page);
    const first = await pictureBytes(page);
    const seed = await parameter(page, "Seed");
    await stageAction(page, "Use these settings");
    expect(await page.getByLabel("Seed", { exact: true }).inputValue()).toBe(seed);
    const before = await page.getByRole("img", { name: PROMPT }).getAttribute("src");
    await page.keyboard.press("Control+Enter");
    await expect.poll(() => page.getByRole("img", { name: PROMPT }).getAttribute("src"), { timeout: 60_000 }).not.toBe(before);
    await finished(page);
    expect(await parameter(page, "Seed")).toBe(seed);
    expect((await pictureBytes(page)).equals(first)).toBe(true);
  });

  it("cancels with Escape", async () => {
    const { page } = await open();
    await page.getByLabel("Steps, as a number").fill("150");
    await generate(page, PROMPT);
    await page.getByText(/^Step \d+ of 150/).waitFor();
    await page.keyboard.press("Escape");
    await page.getByText("Cancelled before it was finished.").waitFor();
    expect(await page.getByRole("button", { name: /^Cancel( Esc)?$/ }).count()).toBe(0);
  });

  it("says in words what is wrong, and marks where", async () => {
    const { page } = await open();
    await page.keyboard.press("Control+Enter");
    expect(await page.getByRole("form").getByRole("alert").textContent()).toMatch(/Write what the picture should show/);
    expect(await page.getByLabel("Prompt", { exact: true }).getAttribute("aria-invalid")).toBe("true");
    expect(await page.getByLabel("Prompt", { exact: true }).evaluate((field) => field === document.activeElement)).toBe(true);

    // Settings kept from a service that had another scheduler: only the service can know that it is gone.
    await page.addInitScript(() =>
      localStorage.setItem("kiln.settings.1", JSON.stringify({ prompt: "a tent", scheduler: "bygone" })),
    );
    await page.reload();
    await generate(page, "a tent");
    await page.getByRole("form").getByRole("alert").waitFor();
    expect(await page.getByRole("form").getByRole("alert").textContent()).toMatch(/bygone/);
    expect(await page.getByLabel("Scheduler", { exact: true }).getAttribute("aria-invalid")).toBe("true");
  });

  it("starts from a picture that is chosen, pasted or dropped", async () => {
    const { page } = await open();
    const bytes = await drawnPicture(page);
    const choose = page.getByLabel("Choose a picture to start from");
    await choose.setInputFiles({ name: "notes.txt", mimeType: "text/plain", buffer: Buffer.from("words") });
    await page.getByText(/"notes.txt" is no picture/).waitFor();
    await choose.setInputFiles({ name: "start.png", mimeType: "image/png", buffer: bytes });
    const source = page.locator(".source-chosen img");
    await source.waitFor();
    await expect.poll(() => source.evaluate((image: HTMLImageElement) => image.naturalWidth)).toBeGreaterThan(0);
    await page.getByRole("button", { name: "Start without a picture" }).click();
    for (const way of ["paste", "drop"] as const) {
      await giveFile(page, way, bytes);
      await source.waitFor();
      if (way === "paste") await page.getByRole("button", { name: "Start without a picture" }).click();
    }
    await page.getByLabel("Strength, as a number").fill("0.5");
    await generate(page, "a lighthouse by the sea at night");
    await finished(page);
    expect(await parameter(page, "Strength")).toBe("0.5");
    await stageAction(page, "Use as image");
    await expect.poll(() => source.getAttribute("src")).toMatch(/\/v1\/images\//);
  });

  it("takes the settings over that a picture's file names", async () => {
    const { page } = await open();
    await page.getByLabel("Steps, as a number").fill("3");
    await generate(page, PROMPT);
    await finished(page);
    const seed = await parameter(page, "Seed");
    const bytes = await pictureBytes(page);
    await page.getByLabel("Prompt", { exact: true }).fill("something else");
    const choose = page.getByLabel("Choose a picture to start from");
    await choose.setInputFiles({ name: "plain.png", mimeType: "image/png", buffer: await drawnPicture(page) });
    const source = page.locator(".source-chosen");
    await source.waitFor();
    const use = page.getByRole("button", { name: "Use its settings instead" });
    expect(await use.count()).toBe(0);
    await page.getByRole("button", { name: "Start without a picture" }).click();
    await choose.setInputFiles({ name: "drawn.png", mimeType: "image/png", buffer: bytes });
    await use.click();
    expect(await page.getByLabel("Prompt", { exact: true }).inputValue()).toBe(PROMPT);
    expect(await page.getByLabel("Seed", { exact: true }).inputValue()).toBe(seed);
    expect(await page.getByLabel("Steps, as a number").inputValue()).toBe("3");
    expect(await source.count()).toBe(0);
  });

  it("draws several pictures and walks through them with the arrow keys", async () => {
    const { page } = await open();
    await page.getByLabel("Pictures, as a number").fill("3");
    await generate(page, PROMPT);
    await finished(page);
    const seed = BigInt((await parameter(page, "Seed")) ?? "0");
    await page.getByRole("radio", { name: "Picture 1 of 3" }).focus();
    await page.keyboard.press("ArrowRight");
    await page.keyboard.press("ArrowRight");
    await expect.poll(() => parameter(page, "Seed")).toBe(String((seed + 2n) % 2n ** 64n));
  });

  it("keeps favourites, takes a deletion back, and deletes for good", async () => {
    const { page } = await open();
    const prompt = "a yellow tent in the desert at night";
    await generate(page, prompt);
    await finished(page);
    await stageAction(page, "Favourite");
    await page.getByLabel("Favourites only").check();
    const card = page.locator(".card", { hasText: prompt });
    await expect.poll(() => page.locator(".card").count()).toBe(1);
    await page.getByLabel("Favourites only").uncheck();

    await stageAction(page, "Delete");
    await expect.poll(() => card.count()).toBe(0);
    await page.getByRole("button", { name: "Undo" }).click();
    await expect.poll(() => card.count()).toBe(1);
    await stageAction(page, "Delete");
    await expect.poll(() => card.count()).toBe(0);
    // Leaving the page ends the time to undo.
    await page.reload();
    await page.getByRole("heading", { name: "Recent" }).waitFor();
    await expect.poll(() => page.locator(".card").count()).toBeGreaterThan(0);
    expect(await card.count()).toBe(0);
  });

  it("remembers settings and theme", async () => {
    const { page } = await open({ colorScheme: "light" });
    await page.getByLabel("Prompt", { exact: true }).fill("a cactus");
    await page.getByLabel("Guidance, as a number").fill("4.5");
    await page.getByRole("button", { name: /^Theme:/ }).click();
    await page.getByRole("button", { name: /^Theme: light/ }).click();
    const dark = await background(page);
    await page.reload();
    await page.getByRole("button", { name: /^Theme: dark/ }).waitFor();
    expect(await page.getByLabel("Prompt", { exact: true }).inputValue()).toBe("a cactus");
    expect(await page.getByLabel("Guidance, as a number").inputValue()).toBe("4.5");
    expect(await background(page)).toBe(dark);
    await page.getByRole("button", { name: /^Theme: dark/ }).click();
    expect(await background(page)).not.toBe(dark);
    await page.emulateMedia({ colorScheme: "dark" });
    expect(await background(page)).toBe(dark);
  });

  it("says that the service is away, and goes on when it is back", async () => {
    const { page } = await open();
    await service.stop();
    await generate(page, PROMPT);
    await page.getByText(/The service does not answer. What was accepted/).waitFor();
    await service.restart();
    await page.getByText(/The service does not answer. What was accepted/).waitFor({ state: "detached" });
    await page.keyboard.press("Control+Enter");
    await finished(page);
  });

  it("lets the browser ask for the key where one is needed, and sends it with everything", async () => {
    const created = await fetch(`${service.url}/v1/keys`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ name: "page", role: "admin" }),
    });
    const { id, key }: { id: string; key: string } = await created.json();
    try {
      const stranger = await fetch(service.url, { headers: { accept: "text/html" } });
      expect([stranger.status, stranger.headers.get("www-authenticate")]).toEqual([401, expect.stringMatching(/^Basic /)]);
      const { page, complaints } = await open({ httpCredentials: { username: "anybody", password: key } });
      await generate(page, PROMPT);
      await finished(page);
      expect(complaints).toEqual([]);
    } finally {
      const revoked = await fetch(`${service.url}/v1/keys/${id}`, {
        method: "DELETE",
        headers: { authorization: `Bearer ${key}` },
      });
      expect(revoked.status).toBe(204);
    }
  });

  it.each([320, 390, 768])("fits a screen %i pixels wide", async (width) => {
    const { page } = await open({ viewport: { width, height: 800 }, hasTouch: true, isMobile: width < 768 });
    await page.getByLabel("Prompt", { exact: true }).fill(PROMPT);
    await page.getByRole("button", { name: /^Generate/ }).click();
    await finished(page);
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(width);
    await page.getByRole("button", { name: /^Settings/ }).click();
    await page.getByLabel("Scheduler", { exact: true }).waitFor();
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(width);
  });

  it("gives every control a name, and a visible focus, on the way of the Tab key", async () => {
    const { page } = await open();
    await generate(page, PROMPT);
    await finished(page);
    await page.locator("body").evaluate((body) => {
      body.tabIndex = -1;
      body.focus();
    });
    const nameless: string[] = [];
    const unseen: string[] = [];
    const reached = new Set<string>();
    for (let press = 0; press < 60; press++) {
      await page.keyboard.press("Tab");
      const focus = await focused(page);
      if (focus === undefined) break;
      reached.add(focus.name);
      if (focus.name === "") nameless.push(focus.html);
      if (!focus.seen) unseen.push(focus.html);
    }
    expect(nameless).toEqual([]);
    expect(unseen).toEqual([]);
    expect([...reached]).toEqual(
      expect.arrayContaining([expect.stringMatching(/^Prompt/), expect.stringMatching(/^Generate/), "Download", "Favourite"]),
    );
  });
});

async function generate(page: Page, prompt: string): Promise<void> {
  await page.getByLabel("Prompt", { exact: true }).fill(prompt);
  await page.keyboard.press("Control+Enter");
}

async function finished(page: Page): Promise<void> {
  await page.locator(".chamber-completed .frame-shown").waitFor({ timeout: 90_000 });
}

async function stageAction(page: Page, name: string): Promise<void> {
  await page.getByRole("region", { name: "Picture" }).getByRole("button", { name, exact: true }).click();
}

async function parameter(page: Page, name: string): Promise<string | null> {
  return page.locator(".parameters > div", { hasText: name }).locator("dd").textContent();
}

async function pictureBytes(page: Page): Promise<Buffer> {
  const url = await page.getByRole("region", { name: "Picture" }).getByRole("link", { name: "Download" }).getAttribute("href");
  const response = await page.request.get(new URL(url ?? "", page.url()).href);
  expect(response.ok()).toBe(true);
  return response.body();
}

/** A PNG of 256 x 192, drawn by the browser. */
async function drawnPicture(page: Page): Promise<Buffer> {
  const base64 = await page.evaluate(async () => {
    const canvas = document.createElement("canvas");
    canvas.width = 256;
    canvas.height = 192;
    const context = canvas.getContext("2d");
    if (context === null) return "";
    context.fillStyle = "#3367d6";
    context.fillRect(0, 0, 256, 110);
    context.fillStyle = "#3b8f3b";
    context.fillRect(0, 110, 256, 82);
    return canvas.toDataURL("image/png").split(",")[1] ?? "";
  });
  return Buffer.from(base64, "base64");
}

async function giveFile(page: Page, way: "paste" | "drop", bytes: Buffer): Promise<void> {
  await page.evaluate(
    ([kind, base64]) => {
      const data = new DataTransfer();
      const content = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
      data.items.add(new File([content], "start.png", { type: "image/png" }));
      const event =
        kind === "paste"
          ? new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true })
          : new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true });
      document.body.dispatchEvent(event);
    },
    [way, bytes.toString("base64")] as const,
  );
}

async function background(page: Page): Promise<string> {
  return page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
}

interface Focus {
  readonly name: string;
  readonly html: string;
  readonly seen: boolean;
}

async function focused(page: Page): Promise<Focus | undefined> {
  return page.evaluate(() => {
    const element = document.activeElement;
    if (element === null || element === document.body) return undefined;
    const labels =
      element instanceof HTMLInputElement || element instanceof HTMLTextAreaElement || element instanceof HTMLSelectElement
        ? element.labels
        : null;
    const name = element.getAttribute("aria-label") ?? labels?.[0]?.textContent ?? element.textContent ?? "";
    // A radio button's outline is drawn by what stands for it.
    const carriers = [element, element.parentElement].filter((each) => each !== null);
    const seen = carriers.some((each) => getComputedStyle(each).outlineStyle !== "none");
    return { name: name.trim(), html: element.outerHTML.slice(0, 120), seen };
  });
}
