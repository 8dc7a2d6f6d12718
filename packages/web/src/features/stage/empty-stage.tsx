import { KilnIcon } from "../../design/icons.tsx";

/** How many examples fit without choice becoming work. */
const EXAMPLES_SHOWN = 4;

interface EmptyStageProps {
  readonly examples: readonly string[];
  readonly onExample: (prompt: string) => void;
}

/** Before the first picture: an invitation, with prompts that are known to go well. */
export function EmptyStage({ examples, onExample }: EmptyStageProps) {
  return (
    <section className="stage" aria-label="Picture">
      <div className="chamber chamber-cold">
        <div className="invitation">
          <div className="invitation-icon">
            <KilnIcon />
          </div>
          <h2>Write a few words, watch them become a picture.</h2>
          {examples.length > 0 && (
            <>
              <p>Or begin with one of these:</p>
              <ul>
                {spread(examples).map((example) => (
                  <li key={example}>
                    <button type="button" className="invitation-example" onClick={() => onExample(example)}>
                      {example}
                    </button>
                  </li>
                ))}
              </ul>
            </>
          )}
        </div>
      </div>
    </section>
  );
}

/** Some of all: neighbours in a list are often alike. */
function spread(examples: readonly string[]): string[] {
  const shown = Math.min(EXAMPLES_SHOWN, examples.length);
  const places = Array.from({ length: shown }, (_, place) => Math.floor(((place + 1) * examples.length) / (shown + 1)));
  return places.flatMap((place) => examples[place] ?? []);
}
