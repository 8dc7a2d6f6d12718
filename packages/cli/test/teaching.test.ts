import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { createProgram } from "../src/program.ts";
import { kiln, root } from "./run-kiln.ts";

const folder = tmpdir();
const demo = join(root, "models/kiln-demo");

describe("kiln", () => {
  it("teaches without arguments", async () => {
    const { code, out } = await kiln([], folder);
    expect(code).toBe(0);
    expect(out.match(/^ {2}kiln .+$/gm)).toHaveLength(3);
  });

  it("gives examples with the help of every command", () => {
    const { commands } = createProgram();
    expect(commands.length).toBeGreaterThan(5);
    for (const command of commands) {
      let help = "";
      command.configureOutput({ writeOut: (text) => (help += text) }).outputHelp();
      expect(help, command.name()).toMatch(/Examples?:\n {2}\$ .*kiln /);
    }
  });

  it("does not know other commands, and says which is near", async () => {
    const { code, err } = await kiln(["generat", "a house"], folder);
    expect(err).toBe('kiln: There is no command "generat". Did you mean kiln generate? [invalid_request]\n');
    expect(code).toBe(1);
    expect((await kiln(["paint"], folder)).err).toMatch(/There are generate, inspect, .*\[invalid_request\]\n$/);
  });

  it.each([
    [
      ["generate"],
      /^kiln: Missing required argument 'prompt'\. kiln generate --help shows what there is\. \[invalid_request\]\n$/,
    ],
    [["models", "lst"], /Did you mean list\? \[invalid_request\]\n$/],
    [["models", "pull", "a/b", "--quite"], /Did you mean --quiet\? \[invalid_request\]\n$/],
    [["keys", "create"], /kiln keys create --help shows what there is/],
    [["accel", "install", "tensorrt"], /install openvino or cuda/],
  ])("says in one sentence what is wrong with %j, and where to look", async (words, says) => {
    const { code, out, err } = await kiln(words, folder);
    expect(err).toMatch(says);
    expect([code, out]).toEqual([1, ""]);
  });

  it("shows a group's commands where none is named, and nothing besides", async () => {
    const { code, out, err } = await kiln(["views"], folder);
    expect(err).toMatch(/process <jobs\.\.\.>/);
    expect(err).not.toContain("kiln: ");
    expect([code, out]).toEqual([1, ""]);
  });

  it("lists the schedulers under the names that generate takes", async () => {
    const { out } = await kiln(["schedulers"], folder);
    for (const name of ["EulerDiscreteScheduler", "DPM++ 2M Karras", "Align Your Steps", "Restart"]) expect(out).toContain(name);
    const json: unknown = JSON.parse((await kiln(["schedulers", "--json"], folder)).out);
    expect(json).toMatchObject({ a1111: { samplers: expect.arrayContaining(["Euler a"]) } });
  });
});

describe("kiln inspect", () => {
  it("says what a checkpoint is", async () => {
    const { code, out } = await kiln(["inspect", demo], folder);
    expect(code).toBe(0);
    expect(out).toMatch(/a checkpoint of Stable Diffusion XL, as a folder/);
    expect(out).toMatch(/unet +7\.7\d million parameters, float16/);
  });

  it("says it as JSON", async () => {
    const { out } = await kiln(["inspect", join(demo, "vae/diffusion_pytorch_model.safetensors"), "--json"], folder);
    expect(JSON.parse(out)).toMatchObject({ kind: "vae", layout: "single", missing: [] });
  });

  it("refuses what is no model in one sentence", async () => {
    const { code, out, err } = await kiln(["inspect", join(root, "package.json")], folder);
    expect(err).toMatch(/^kiln: .*package\.json.*\[file_(corrupt|unsupported)\]\n$/);
    expect([code, out]).toEqual([1, ""]);
  });
});

describe("kiln config", () => {
  it("lists the settings with what is in force, and keeps secrets", async () => {
    const { out } = await kiln(["config"], folder, { KILN_SLOTS: "3", HF_TOKEN: "hf_secret" });
    expect(out).toMatch(/^KILN_SLOTS = 3$/m);
    expect(out).not.toContain("hf_secret");
  });

  it("refuses a setting that is none", async () => {
    const { code, err } = await kiln(["config"], folder, { KILN_SLOT: "3" });
    expect(err).toMatch(/KILN_SLOT in the environment is no setting.*KILN_SLOTS/);
    expect(code).toBe(1);
  });
});
