/**
 * Does what the README says, as it says it: its commands are read out of the text and run. Only ports, the data folder and
 * the way to the `kiln` program are replaced, so that the test can run beside others and from the sources.
 */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { decodePicture } from "@kiln/diffusion";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FROM_SOURCES, kiln, root, startKiln } from "./run-kiln.ts";

const README = readFileSync(join(root, "README.md"), "utf8");
const COMMANDS = commandsOf(README);
const CURLS = [...README.matchAll(/^\| \[?(\w+).*?\| `(curl [^`]+)` \|$/gm)].map(([, api = "", command = ""]) => ({
  api,
  command,
}));
const SNIPPETS = [...README.matchAll(/^```js\n([\s\S]*?)^```$/gm)].map(([, code = ""]) => code);
/** A picture of the demo with its 20 steps takes seconds; on busy machines, minutes. */
const PATIENCE = 300_000;

describe("the README", () => {
  let folder: string;
  let service: ChildProcess;
  const ports = new Map<string, number>();

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "kiln-readme-"));
    symlinkSync(join(root, "models"), join(folder, "models"));
    symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
    const serve = words(COMMANDS.find((command) => command.startsWith("npx kiln serve")) ?? "");
    for (const [, port = ""] of (serve.at(-1) ?? "").matchAll(/(\d+)=/g)) ports.set(port, await freePort());
    const environment = { KILN_DATA_DIR: join(folder, "data"), LOG_LEVEL: "warn" };
    const running = startKiln(serve.slice(2).map(replacePorts), folder, environment);
    service = running.child;
    await running.heard(/Kiln is running/);
  }, PATIENCE);
  afterAll(async () => {
    const ended = service && new Promise((resolve) => service.once("close", resolve));
    service?.kill("SIGTERM");
    await ended;
    rmSync(folder, { recursive: true, force: true });
  }, PATIENCE);

  function replacePorts(text: string): string {
    return [...ports].reduce((replaced, [written, port]) => replaced.replaceAll(written, String(port)), text);
  }

  async function pictureIn(name: string): Promise<number[]> {
    const { width, height } = await decodePicture(await readFile(join(folder, name)), name);
    return [width, height];
  }

  it(
    "draws with the command of its first screen",
    async () => {
      const generate = COMMANDS.filter((command) => command.startsWith("npx kiln generate"));
      expect(generate).toHaveLength(1);
      const { code, out } = await kiln(words(generate[0] ?? "").slice(2), folder);
      expect([code, out]).toEqual([0, "house.png\n"]);
      expect(await pictureIn("house.png")).toEqual([256, 256]);
    },
    PATIENCE,
  );

  it(
    "draws with the commands of docs/cli.md",
    async () => {
      const commands = commandsOf(readFileSync(join(root, "docs/cli.md"), "utf8"));
      expect(commands.length).toBeGreaterThan(3);
      for (const command of commands) {
        const { code, err } = await kiln(words(command).slice(2), folder);
        expect(code, `${command}\n${err}`).toBe(0);
      }
      expect(await pictureIn("blue.png")).toEqual([256, 256]);
    },
    PATIENCE,
  );

  it("has a line for every API", () => {
    expect(CURLS.map(({ api }) => api)).toEqual([
      "native",
      "OpenAI",
      "AUTOMATIC1111",
      "instant",
      "views",
      "queue",
      "pose",
      "depth",
    ]);
  });

  it.each(CURLS)(
    "calls $api as it says",
    async ({ command }) => {
      const { stdout } = await promisify(execFile)(
        "bash",
        ["-c", replacePorts(command).replace("curl ", "curl --fail-with-body ")],
        {
          cwd: folder,
          maxBuffer: 64 * 1024 * 1024,
        },
      );
      const [, file] = /-o (\S+)/.exec(command) ?? [];
      if (file?.endsWith(".png")) expect(await pictureIn(file)).toEqual([256, 256]);
      else expect(JSON.parse(file === undefined ? stdout : await readFile(join(folder, file), "utf8"))).toBeInstanceOf(Object);
    },
    PATIENCE,
  );

  it(
    "draws with OpenAI's client",
    async () => {
      const code = SNIPPETS.find((snippet) => snippet.includes('from "openai"')) ?? "";
      await writeFile(join(folder, "client.mjs"), replacePorts(code));
      await promisify(execFile)(process.execPath, ["client.mjs"], { cwd: folder });
      expect(await pictureIn("boat.png")).toEqual([256, 256]);
    },
    PATIENCE,
  );

  it(
    "draws with the library in five lines, which are those of the example",
    async () => {
      const code = SNIPPETS.find((snippet) => snippet.includes('from "@kiln/diffusion"')) ?? "";
      expect(code).toBe(readFileSync(join(root, "examples/five-lines.mjs"), "utf8"));
      await writeFile(join(folder, "five-lines.mjs"), code);
      await promisify(execFile)(process.execPath, [...FROM_SOURCES, "five-lines.mjs"], { cwd: folder });
      expect(await pictureIn("house.png")).toEqual([256, 256]);
    },
    PATIENCE,
  );

  it(
    "serves the page with npm start, and ends at Ctrl-C",
    async () => {
      expect(COMMANDS[0]).toBe("npm start");
      const port = await freePort();
      const start = spawn("npm", ["start", "--silent", "--", "--port", String(port), "--data", join(folder, "start")], {
        cwd: root,
        stdio: "ignore",
        detached: true, // a group of its own, which gets Ctrl-C as a terminal sends it
      });
      const ended = new Promise((resolve) => start.once("close", resolve));
      try {
        const page = async (): Promise<string> => {
          const answer = await fetch(`http://127.0.0.1:${port}/`, { headers: { accept: "text/html" } }).catch(() => undefined);
          return (await answer?.text()) ?? "";
        };
        await expect.poll(page, { timeout: PATIENCE / 2, interval: 250 }).toMatch(/<title>Kiln<\/title>/);
      } finally {
        if (start.pid !== undefined) process.kill(-start.pid, "SIGINT");
        await ended;
      }
      await expect(fetch(`http://127.0.0.1:${port}/`)).rejects.toThrow();
    },
    PATIENCE,
  );

  it("links to files that are there", () => {
    const links = [...README.matchAll(/\]\(([^)]+)\)/g)].map(([, link = ""]) => link).filter((link) => !link.startsWith("http"));
    expect(links.length).toBeGreaterThan(10);
    for (const link of links) expect(readFileSync(join(root, link)).length, link).toBeGreaterThan(0);
  });
});

/** The lines of a text's blocks for bash. */
function commandsOf(text: string): string[] {
  return [...text.matchAll(/^```bash\n([\s\S]*?)^```$/gm)].flatMap(([, block = ""]) => block.trim().split("\n"));
}

/** A command's words, as a shell takes them apart. */
function words(command: string): string[] {
  return [...command.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? "");
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("the system gave no port");
  return address.port;
}
