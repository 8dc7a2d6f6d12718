import type { KeyAdmin, KeyView } from "@kiln/server";
import { Command, Option } from "commander";
import { whole } from "../arguments.ts";

interface CreateOptions {
  readonly role?: "admin" | "user";
  readonly rate?: number;
  readonly quota?: number;
  readonly workQuota?: number;
  readonly ceiling?: number;
  readonly json?: boolean;
}

export function keysCommand(): Command {
  return new Command("keys")
    .description("Create, list and revoke API keys. From the first one on every caller needs a key.")
    .addHelpText(
      "after",
      `
While the service runs on its embedded database these commands go through it; once keys exist they need an admin's in
KILN_API_KEY.

Examples:
  $ kiln keys create "my laptop"
  $ kiln keys create shop --role user --rate 60 --quota 1000
  $ kiln keys list
  $ kiln keys delete key_01...`,
    )
    .addCommand(createCommand())
    .addCommand(listCommand())
    .addCommand(deleteCommand());
}

function createCommand(): Command {
  return new Command("create")
    .description("Create a key and print it, this once.")
    .argument("<name>", "whose key it is, for the list")
    .addOption(
      new Option("--role <role>", "admin may manage keys and models; default: admin for the first key, then user").choices([
        "admin",
        "user",
      ]),
    )
    .option("--rate <n>", "requests a minute", whole("--rate"))
    .option("--quota <n>", "pictures a day", whole("--quota"))
    .option(
      "--work-quota <n>",
      "millions of pixels x steps a day; a picture of 1024 x 1024 in 30 steps has 31",
      whole("--work-quota"),
    )
    .option("--ceiling <n>", "how explicit adult content may be, 0 to 100", whole("--ceiling"))
    .option("--json", "as one JSON object")
    .action(async (name: string, { role, rate, quota, workQuota, ceiling, json }: CreateOptions) => {
      await withKeys(async (keys) => {
        const { key, view } = await keys.create({
          name,
          role,
          ratePerMinute: rate,
          quotaPicturesPerDay: quota,
          quotaMegapixelStepsPerDay: workQuota,
          contentCeiling: ceiling,
        });
        if (json) process.stdout.write(`${JSON.stringify({ ...view, key })}\n`);
        else {
          process.stderr.write(`${describe(view)}\nKeep it: it is not shown again.\n`);
          process.stdout.write(`${key}\n`);
        }
      });
    });
}

function listCommand(): Command {
  return new Command("list")
    .description("List the keys, without their secrets.")
    .option("--json", "as one JSON array")
    .action(async ({ json }: { json?: boolean }) => {
      await withKeys(async (keys) => {
        const views = await keys.list();
        if (json) process.stdout.write(`${JSON.stringify(views, undefined, 2)}\n`);
        else if (views.length === 0) process.stderr.write("There are no keys: the service answers this machine alone.\n");
        else process.stdout.write(`${views.map(describe).join("\n")}\n`);
      });
    });
}

function deleteCommand(): Command {
  return new Command("delete")
    .description("Revoke a key.")
    .argument("<id>", "as kiln keys list shows it")
    .action(async (id: string) => {
      await withKeys(async (keys) => await keys.revoke(id));
      process.stderr.write(`${id} is revoked; a service that runs elsewhere follows within 5 s.\n`);
    });
}

async function withKeys(work: (keys: KeyAdmin) => Promise<void>): Promise<void> {
  const { loadSettings, openKeyAdmin } = await import("@kiln/server");
  const keys = await openKeyAdmin(loadSettings(), process.env.KILN_API_KEY);
  try {
    await work(keys);
  } finally {
    await keys.close();
  }
}

function describe({ id, name, role, created_at, ...key }: KeyView): string {
  const { rate_per_minute, quota_pictures_per_day, quota_megapixel_steps_per_day, content_ceiling } = key;
  const limits = [
    rate_per_minute === null ? "" : `${rate_per_minute} requests a minute`,
    quota_pictures_per_day === null ? "" : `${quota_pictures_per_day} pictures a day`,
    quota_megapixel_steps_per_day === null ? "" : `${quota_megapixel_steps_per_day} megapixel steps a day`,
    content_ceiling === null ? "" : `content up to ${content_ceiling}`,
  ].filter((limit) => limit !== "");
  return `${id}  ${role}  "${name}"  since ${created_at.slice(0, 10)}${limits.length === 0 ? "" : `  ${limits.join(", ")}`}`;
}
