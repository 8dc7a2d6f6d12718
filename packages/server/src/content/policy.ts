import { ServiceError } from "../errors.ts";
import type { GenerationRequest } from "../jobs/request.ts";
import { sexualisesMinors } from "./hard-rule.ts";
import { normalise, withoutPhrases } from "./normalise.ts";
import { type ContentRules, loadRules } from "./rules.ts";
import { finder, phraseRemover } from "./words.ts";

/** The part of a request that the policy looks at. */
type CheckedRequest = Pick<
  GenerationRequest,
  "prompt" | "prompt_2" | "negative_prompt" | "negative_prompt_2" | "content_ceiling"
> & {
  hires?: Pick<NonNullable<GenerationRequest["hires"]>, "prompt" | "negative_prompt"> | undefined;
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
 * A refusal is an error that says so, never a blank picture, and does not repeat the prompt. Negative prompts say what is
 * not wanted, so only the rule on minors looks at them.
 */
export function makeContentPolicy(rules: ContentRules, operatorCeiling: number): ContentPolicy {
  const withoutAllowed = phraseRemover(rules.allowed);
  const adult = rules.adult.map(({ ceiling, words }) => ({ ceiling, matches: finder(words) }));
  const refused = rules.refused.map(({ reason, words }) => ({ reason, matches: finder(words) }));
  return {
    check(request, callerCeiling) {
      const prompt = normalise(joined(request.prompt, request.prompt_2, request.hires?.prompt));
      const negative = joined(request.negative_prompt, request.negative_prompt_2, request.hires?.negative_prompt);
      if (sexualisesMinors(prompt, negative)) throw refusal("Content that sexualises minors is refused, always.");
      const text = withoutPhrases(prompt, withoutAllowed);
      const ceiling = Math.min(operatorCeiling, callerCeiling ?? 100, request.content_ceiling ?? 100);
      if (adult.some((tier) => tier.ceiling > ceiling && tier.matches(text))) {
        throw refusal("Sexual content and nudity are above the ceiling that holds for this request; change the prompt.");
      }
      const rule = refused.find(({ matches }) => matches(text));
      if (rule) throw refusal(`The operator's policy refuses this: ${rule.reason}.`);
    },
  };
}

function joined(...prompts: readonly (string | undefined)[]): string {
  return prompts.filter((each) => each !== undefined).join(" , ");
}

function refusal(message: string): ServiceError {
  return new ServiceError("content_policy", message, { field: "prompt" });
}
