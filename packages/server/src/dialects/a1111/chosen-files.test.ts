import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { REFERENCE_FOLDER } from "../../testing/model-folders.ts";
import { startTestServer, type TestServer } from "../../testing/start-test-server.ts";
import { A1111Calls, API } from "./testing.ts";

/** A file with one tensor of zeros in float32. */
function safetensors(name: string, shape: [number, number]): Buffer {
  const bytes = shape[0] * shape[1] * 4;
  const header = JSON.stringify({ [name]: { dtype: "F32", shape, data_offsets: [0, bytes] } });
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  return Buffer.concat([length, Buffer.from(header), Buffer.alloc(bytes)]);
}

describe.skipIf(!REFERENCE_FOLDER)("VAEs and embeddings that lie in the models folder", () => {
  const reference = REFERENCE_FOLDER ?? "";
  const models = mkdtempSync(join(tmpdir(), "kiln-chosen-"));
  let server: TestServer;
  beforeAll(async () => {
    for (const folder of ["vae", "embeddings"]) mkdirSync(join(models, folder));
    for (const name of ["tiny-xl", "tiny-sd15"]) symlinkSync(join(reference, name), join(models, name));
    const vae = join(reference, "tiny-sd15/vae/diffusion_pytorch_model.safetensors");
    cpSync(vae, join(models, "vae/other-vae.safetensors"));
    cpSync(join(reference, "embeddings/kiln-style.safetensors"), join(models, "embeddings/kiln-style.safetensors"));
    writeFileSync(join(models, "embeddings/old-style.safetensors"), safetensors("emb_params", [2, 8]));
    server = await startTestServer({ KILN_ENGINE: "diffusion", MODELS_DIR: models, KILN_DEFAULT_MODEL: "tiny-xl" });
  });
  afterAll(async () => {
    await server?.close();
    rmSync(models, { recursive: true, force: true });
  });
  const { get, post, drawn, lastRequest } = new A1111Calls(() => server);

  const SMALL = { prompt: "a house", width: 64, height: 64, steps: 1, seed: 3, cfg_scale: 4 };
  async function pixels(fields: object): Promise<Buffer> {
    const { images } = await drawn("/txt2img", { ...SMALL, ...fields });
    return await sharp(Buffer.from(images[0] ?? "", "base64"))
      .raw()
      .toBuffer();
  }

  test("SillyTavern's VAE menu, and the VAE of one request, of the options, and by Forge's name", async () => {
    const [listed, ...others] = (await get(`${API}/sd-vae`)) as unknown as { model_name: string; filename: string }[];
    expect([listed?.model_name, others]).toEqual(["other-vae.safetensors", []]);
    expect(await get(`${API}/sd-modules`)).toEqual([listed]);
    const own = await pixels({ override_settings: { sd_vae: "Automatic" } });
    const chosen = await pixels({ override_settings: { sd_vae: listed?.model_name } });
    expect(chosen.equals(own)).toBe(false);
    expect(await lastRequest()).toMatchObject({ vae: "other-vae" });
    expect(
      (await pixels({ override_settings: { forge_additional_modules: ["/models/VAE/other-vae.safetensors"] } })).equals(chosen),
    ).toBe(true);
    await post(`${API}/options`, { sd_vae: "other-vae.safetensors" });
    const { info } = await drawn("/txt2img", SMALL);
    expect(info).toMatchObject({ sd_vae_name: "other-vae", infotexts: [expect.stringContaining("VAE: other-vae")] });
    expect((await pixels({ override_settings: { sd_vae: "None" } })).equals(own)).toBe(true);
    await post(`${API}/options`, { sd_vae: "Automatic" });
    const unknown = await drawn("/txt2img", { ...SMALL, override_settings: { sd_vae: "nobody.safetensors" } });
    expect(unknown.info.comments).toContain("sd_vae: nobody.safetensors not found");
  });

  test("AIYA's list of embeddings: those that the checkpoint can use, and the others with their shape", async () => {
    const { loaded, skipped } = (await get(`${API}/embeddings`)) as Record<
      string,
      Record<string, { shape: number; vectors: number }>
    >;
    expect(Object.keys(loaded ?? {})).toEqual(["kiln-style"]);
    expect(loaded?.["kiln-style"]?.vectors).toBeGreaterThan(0);
    expect(skipped).toMatchObject({ "old-style": { shape: 8, vectors: 2 } });
    await post(`${API}/options`, { sd_model_checkpoint: "tiny-sd15" });
    expect(Object.keys((await get(`${API}/embeddings`)).loaded as object)).toEqual(["old-style"]);
    await post(`${API}/options`, { sd_model_checkpoint: "tiny-xl" });
  });

  test("a prompt that names an embedding is drawn with it, and only that one", async () => {
    const plain = await pixels({});
    const styled = await pixels({ prompt: "a house, (Kiln-Style:1.1)" });
    expect(await lastRequest()).toMatchObject({ embeddings: [{ name: "kiln-style" }] });
    expect(styled.equals(plain)).toBe(false);
    await pixels({ prompt: "a house, kiln-styled", negative_prompt: "old-style" });
    expect(await lastRequest()).not.toHaveProperty("embeddings");
    await pixels({ negative_prompt: "kiln-style" });
    expect(await lastRequest()).toMatchObject({ embeddings: [{ name: "kiln-style" }] });
  });

  test("the native API takes both by name, an embedding also by a token, and says what does not fit", async () => {
    const native = { prompt: "a house, <mine>", width: 64, height: 64, steps: 1, seed: 3 };
    const draw = async (fields: object) => {
      const { status, json } = await post("/v1/jobs", { ...native, ...fields });
      expect({ status, json }).toMatchObject({ status: 202 });
      const { id } = json as { id: string };
      for (;;) {
        const job = (await get(`/v1/jobs/${id}`)) as { status: string; error?: object };
        if (job.status === "completed") break;
        if (job.status === "failed") throw new Error(JSON.stringify(job.error));
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      return Buffer.from(await (await fetch(`${server.url}/v1/jobs/${id}/result`)).arrayBuffer());
    };
    const plain = await draw({});
    expect((await draw({ embeddings: [{ name: "kiln-style", token: "<mine>" }] })).equals(plain)).toBe(false);
    expect((await draw({ vae: "other-vae" })).equals(plain)).toBe(false);
    const { data } = (await get("/v1/models")) as { data: { id: string; kind: string; tokens?: string[] }[] };
    expect(data.find(({ id }) => id === "kiln-style")).toMatchObject({ kind: "embedding", tokens: ["kiln-style"] });
    expect(await post("/v1/jobs", { ...native, vae: "kiln-style" })).toMatchObject({
      status: 422,
      json: { code: "model_not_found", field: "vae" },
    });
    expect(await post("/v1/jobs", { ...native, embeddings: [{ name: "old-style" }] })).toMatchObject({
      status: 422,
      json: { code: "model_incompatible", field: "embeddings.0.name" },
    });
  });
});
