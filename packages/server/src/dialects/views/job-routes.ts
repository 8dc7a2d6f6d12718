import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { z } from "zod";
import type { ServerContext } from "../../http/dialect.ts";
import { baseUrlOf } from "../../http/request-context.ts";
import type { Presets } from "../../models/presets.ts";
import { looseFlag } from "../loose.ts";
import { readForm } from "../read-form.ts";
import type { Accounts } from "./accounts.ts";
import { FormErrors, notFound, parseForm } from "./errors.ts";
import { listQuerySchema, pageOf } from "./listing.ts";
import { textsOf } from "./recipe.ts";
import { showJob } from "./show.ts";
import { SELECTIONS, type ViewJob } from "./view-job.ts";
import type { ViewJobs } from "./view-jobs.ts";

/** Free text beside the operator's own; some ten sentences. */
const MAX_MESSAGE = 2000;
/** Favourites are a plain list without pages; nobody marks more by hand. */
const MAX_FAVORITES = 1000;
const DEFAULT_REGION = "gluteal";

interface Parts {
  viewJobs: ViewJobs;
  accounts: Accounts;
  context: ServerContext;
}

/** Jobs: create, list, read, change, select, mark, remove. All of them see the caller's own jobs alone. */
export function registerJobRoutes(app: FastifyInstance, parts: Parts): void {
  const { viewJobs, accounts, context } = parts;
  const config = { identify: (credential: string) => accounts.callerOf(credential) };
  const show = async (job: ViewJob, request: FastifyRequest) => await showJob(job, baseUrlOf(request, context), context);
  const own = async (request: FastifyRequest) => await viewJobs.get(idOf(request), request.caller);
  const select = async (request: FastifyRequest) => {
    const { fields } = await readForm(request, []);
    const { selection } = parseForm(selectionSchema, fields);
    return await show(await viewJobs.update(await own(request), { selected: selection }), request);
  };
  const mark = async (request: FastifyRequest) => {
    const { fields } = await readForm(request, []);
    const { is_favorite } = parseForm(favoriteSchema, fields);
    const job = await own(request);
    return await show(await viewJobs.update(job, { favorite: is_favorite ?? !job.data.favorite }), request);
  };
  const change = async (request: FastifyRequest) => {
    const { fields } = await readForm(request, [], ["message"]);
    const { is_favorite, selected_simulation, ...texts } = parseForm(changeSchema(context.presets), fields);
    const given = Object.fromEntries(Object.entries(texts).filter(([, value]) => value !== undefined));
    const marks = {
      ...(is_favorite === undefined ? {} : { favorite: is_favorite }),
      ...(selected_simulation === undefined ? {} : { selected: selected_simulation }),
    };
    return await show(await viewJobs.update(await own(request), { ...given, ...marks }), request);
  };

  // The contract's addresses end in a slash; its clients sometimes forget it.
  for (const slash of ["/", ""]) {
    app.post(`/api/jobs${slash}`, { config }, async (request, reply) => await create(request, reply, parts));
    for (const path of ["", "/history"]) {
      app.get(`/api/jobs${path}${slash}`, { config }, async (request) => {
        const query = parseForm(listQuerySchema, withoutEmpty(request.query));
        return await pageOf(query, request, `/api/jobs${path}/`, viewJobs, (job) => show(job, request), context);
      });
    }
    app.get(`/api/jobs/favorites${slash}`, { config }, async (request) => {
      const filter = { owner: request.caller.owner, where: { favorite: true } };
      const { jobs } = await viewJobs.list(filter, MAX_FAVORITES, 0);
      return await Promise.all(jobs.map(async (job) => await show(job, request)));
    });
    app.get(`/api/jobs/:id${slash}`, { config }, async (request) => await show(await own(request), request));
    app.put(`/api/jobs/:id${slash}`, { config }, change);
    app.patch(`/api/jobs/:id${slash}`, { config }, change);
    app.delete(`/api/jobs/:id${slash}`, { config }, async (request, reply) => {
      await viewJobs.remove(await own(request));
      return await reply.code(204).send();
    });
    app.post(`/api/jobs/:id/select${slash}`, { config }, select);
    app.post(`/api/jobs/:id/favorite${slash}`, { config }, mark);
  }
}

async function create(
  request: FastifyRequest,
  reply: FastifyReply,
  { viewJobs, accounts, context }: Parts,
): Promise<FastifyReply> {
  const { fields, files } = await readForm(request, ["original_image", "pose"]);
  const photo = files.get("original_image");
  const schema = createSchema(context.presets);
  if (!photo) {
    const missing = fields.original_image === undefined ? "No file was submitted." : "The submitted data was not a file.";
    const others = schema.safeParse(fields).error?.issues.map(({ path, message }) => [String(path[0]), [message]]) ?? [];
    throw new FormErrors({ ...Object.fromEntries(others), original_image: [missing] });
  }
  const { region, scenario, message } = parseForm(schema, fields);
  const user = await accounts.userOf(request.caller);
  const pose = files.get("pose")?.bytes;
  const job = await viewJobs.create({ photo, pose, region, scenario, message }, user.id, request.caller);
  return await reply.code(201).send(await showJob(job, baseUrlOf(request, context), context));
}

const params = z.object({ id: z.string() });

function idOf(request: FastifyRequest): string {
  const parsed = params.safeParse(request.params);
  if (!parsed.success) throw notFound();
  return parsed.data.id;
}

function withoutEmpty(query: unknown): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(typeof query === "object" && query !== null ? query : {}).filter(([, value]) => value !== ""),
  );
}

function choice(choices: readonly string[]) {
  return z.string("Not a valid string.").refine((value) => choices.includes(value), {
    error: ({ input }) => `"${String(input).slice(0, 100)}" is not a valid choice.`,
  });
}

const freeText = z
  .string("Not a valid string.")
  .max(MAX_MESSAGE, `Ensure this field has no more than ${MAX_MESSAGE} characters.`)
  .nullable()
  .transform((text) => text ?? "");

function choicesOf(presets: Presets): { regions: string[]; scenarios: string[] } {
  return { regions: textsOf(presets).regions, scenarios: Object.keys(presets.scenarios) };
}

function createSchema(presets: Presets) {
  const { regions, scenarios } = choicesOf(presets);
  const region = regions.includes(DEFAULT_REGION) ? DEFAULT_REGION : (regions[0] ?? DEFAULT_REGION);
  return z.object({
    region: choice(regions).default(region),
    scenario: choice(scenarios).default(scenarios[0] ?? ""),
    message: freeText.default(""),
  });
}

function changeSchema(presets: Presets) {
  const { regions, scenarios } = choicesOf(presets);
  return z.object({
    region: choice(regions).optional(),
    scenario: choice(scenarios).optional(),
    message: freeText.optional(),
    is_favorite: looseFlag.optional(),
    selected_simulation: z.enum(SELECTIONS, "Not a valid choice.").nullable().optional(),
  });
}

const selectionSchema = z.object({ selection: z.enum(SELECTIONS, "Must be simulation1 or simulation2.") });
const favoriteSchema = z.object({ is_favorite: looseFlag.optional() });
