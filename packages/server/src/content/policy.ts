import { ServiceError } from "../errors.ts";
import type { GenerationRequest } from "../jobs/request.ts";
import { sexualisesMinors } from "./hard-rule.ts";
import { normalise } from "./normalise.ts";
import { type ContentRules, loadRules } from "./rules.ts";
import { matcher, remover } from "./words.ts";

/** The part of a request that the policy looks at. */
type CheckedRequest = Pick<GenerationRequest, "prompt" | "prompt_2" | "content_ceiling"> & {
  hires?: Pick<NonNullable<GenerationRequest["hires"]>, "prompt"> | undefined;
};

export interface ContentPolicy {
  /** Raises `content_policy`. The lowest of the ceilings holds: the operator's, the key's, the request's. */
  check(request: CheckedRequest, callerCeiling: number | undefined): void;
}

/** The policy of the operator's file and ceiling. */
export function openContentPolicy(path: string, ceiling: number, required: boolean): ContentPolicy {
  return makeContentPolicy(loadRules(path, required), ceiling);
}

/**
 * A refusal is an error that says so, never a blank picture, and does not repeat the prompt. Negative prompts are not
 * looked at: they say what is not wanted.
 */
export function makeContentPolicy(rules: ContentRules, operatorCeiling: number): ContentPolicy {
  const withoutAllowed = remover(rules.allowed);
  const adult = rules.adult.map(({ ceiling, words }) => ({ ceiling, matches: matcher(words) }));
  const refused = rules.refused.map(({ reason, words }) => ({ reason, matches: matcher(words) }));
  return {
    check(request, callerCeiling) {
      const normalised = normalise([request.prompt, request.prompt_2 ?? "", request.hires?.prompt ?? ""].join(" , "));
      if (sexualisesMinors(normalised)) throw refusal("Content that sexualises minors is refused, always.");
      const texts = [withoutAllowed(normalised.plain), withoutAllowed(normalised.folded)];
      const ceiling = Math.min(operatorCeiling, callerCeiling ?? 100, request.content_ceiling ?? 100);
      if (adult.some((tier) => tier.ceiling > ceiling && texts.some(tier.matches))) {
        throw refusal("Sexual content and nudity are above the ceiling that holds for this request; change the prompt.");
      }
      const rule = refused.find(({ matches }) => texts.some(matches));
      if (rule) throw refusal(`The operator's policy refuses this: ${rule.reason}.`);
    },
  };
}

function refusal(message: string): ServiceError {
  return new ServiceError("content_policy", message, { field: "prompt" });
}
