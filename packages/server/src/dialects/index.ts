import type { Dialect } from "../http/dialect.ts";
import { queue } from "./queue/index.ts";

/** Faces that a listener may have at its root, by the name that KILN_LISTEN uses. */
export const ROOT_DIALECTS: Readonly<Record<string, Dialect>> = { queue };

/** Faces that every listener has. */
export const COMMON_DIALECTS: readonly Dialect[] = [];
