import type { Dialect } from "../http/dialect.ts";
import { a1111 } from "./a1111/index.ts";
import { depth } from "./depth/index.ts";
import { instant } from "./instant/index.ts";
import { openai } from "./openai/index.ts";
import { pose } from "./pose/index.ts";
import { queue } from "./queue/index.ts";
import { vast } from "./vast/index.ts";
import { views } from "./views/index.ts";

/** Faces that a listener may have at its root, by the name that KILN_LISTEN uses. */
export const ROOT_DIALECTS: Readonly<Record<string, Dialect>> = { instant, pose, views, queue, depth, vast };

/** Faces that every listener has. */
export const COMMON_DIALECTS: readonly Dialect[] = [openai, a1111];
