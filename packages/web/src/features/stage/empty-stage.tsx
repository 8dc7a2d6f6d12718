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
                {examples.slice(0, EXAMPLES_SHOWN).map((example) => (
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
