import { existsSync } from "node:fs";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";

/** Where distributions put Chromium; CHROMIUM_PATH names another place. */
const PLACES = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome", "/snap/bin/chromium"];

/** The path of a Chromium on this machine, or undefined: then the page's tests have nothing to run in. */
export function findChromium(): string | undefined {
  return [process.env.CHROMIUM_PATH ?? "", ...PLACES].find((path) => path !== "" && existsSync(path));
}

export function openBrowser(executablePath: string): Promise<Browser> {
  // The sandbox needs privileges that build machines' containers do not have; the page under test is the project's own.
  return chromium.launch({ executablePath, args: ["--no-sandbox"] });
}

export interface OpenedPage {
  readonly page: Page;
  /** What the browser complained of: errors, warnings, violations of the content policy. */
  readonly complaints: string[];
  /** Addresses asked for on any other host than the service's. */
  readonly strangers: string[];
}

/** A page in a profile of its own, with nothing kept from other tests. */
export async function openPage(browser: Browser, url: string, options: BrowserContextOptions = {}): Promise<OpenedPage> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  const complaints: string[] = [];
  const strangers: string[] = [];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("request", (request) => {
    const { protocol, host } = new URL(request.url());
    if (protocol.startsWith("http") && host !== new URL(url).host) strangers.push(request.url());
  });
  await page.goto(url);
  return { page, complaints, strangers };
}
