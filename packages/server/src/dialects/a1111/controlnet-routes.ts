import type { FastifyInstance } from "fastify";
import { z } from "zod";
import type { ServerContext } from "../../http/dialect.ts";
import { MAX_BODY_BYTES, MAX_CONTROLS } from "../../jobs/limits.ts";
import { decodeBase64, inspectPicture } from "../../jobs/pictures-in.ts";
import { number, parseFields } from "../field-errors.ts";
import { fitPicture } from "../fit-picture.ts";
import { noModule, READY_MADE } from "./controlnet.ts";

/** The version of the extension whose API this is. */
const API_VERSION = 3;
const MODULES = ["none"];
/** Pictures of one call; they are in memory until the answer is sent. */
const MAX_PICTURES = 8;

const detectSchema = z.object({
  controlnet_module: z.string().max(100).nullish(),
  controlnet_input_images: z.array(z.string().max(MAX_BODY_BYTES)).max(MAX_PICTURES).nullish(),
  controlnet_images: z.array(z.string().max(MAX_BODY_BYTES)).max(MAX_PICTURES).nullish(),
  controlnet_processor_res: number().nullish(),
  controlnet_threshold_a: number().nullish(),
  controlnet_threshold_b: number().nullish(),
});

/** What the ControlNet extension adds to A1111's API. */
export function registerControlNet(app: FastifyInstance, context: ServerContext): void {
  const models = () => context.catalogue.list("controlnet").map(({ id }) => id);

  app.get("/controlnet/version", async () => ({ version: API_VERSION }));
  app.get("/controlnet/settings", async () => ({ control_net_unit_count: MAX_CONTROLS }));
  app.get("/controlnet/model_list", async () => ({ model_list: models() }));
  app.get("/controlnet/module_list", async () => ({
    module_list: MODULES,
    module_detail: { none: { model_free: false, sliders: [] } },
  }));
  app.get("/controlnet/control_types", async () => ({ control_types: controlTypes(models()) }));

  app.post("/controlnet/detect", async (request) => {
    const fields = parseFields(detectSchema, request.body, "body");
    const module = fields.controlnet_module ?? "none";
    if (!READY_MADE.includes(module.toLowerCase())) throw noModule(module);
    const images: string[] = [];
    for (const image of fields.controlnet_input_images ?? fields.controlnet_images ?? []) {
      const bytes = decodeBase64(image, "controlnet_images");
      const { width, height } = await inspectPicture(bytes, "controlnet_images");
      images.push((await fitPicture(bytes, width, height, "fill", "controlnet_images")).toString("base64"));
    }
    return { images, info: "Success" };
  });
}

/** The extension's groups, those that something is installed for, by what the models' names say. */
function controlTypes(models: readonly string[]): Record<string, object> {
  const groups: [string, RegExp][] = [
    ["All", /./],
    ["OpenPose", /pose/i],
    ["Depth", /depth/i],
    ["Canny", /canny/i],
    ["Lineart", /line-?art/i],
    ["Tile", /tile/i],
  ];
  const found = groups.map(([name, pattern]): [string, string[]] => [name, models.filter((model) => pattern.test(model))]);
  return Object.fromEntries(
    found
      .filter(([name, list]) => name === "All" || list.length > 0)
      .map(([name, list]) => [
        name,
        { module_list: MODULES, model_list: ["None", ...list], default_option: "none", default_model: list[0] ?? "None" },
      ]),
  );
}
