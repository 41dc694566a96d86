// What the playgrounds of vectors and of documents have in common: a form within a namespace, and the
// matches with what they cost.

import type { ComponentChildren, JSX } from "preact";

import { count } from "../format";
import type { useAction } from "../hooks";
import { RecordTable, type Scored } from "../recordtable";
import { go } from "../router";
import { NamespaceField, Note, Problem, Section } from "../ui";

export function Playground({
  index,
  namespace,
  action,
  verb,
  submit,
  matches,
  cost,
  children,
}: {
  index: string;
  namespace: string;
  action: ReturnType<typeof useAction>;
  /** What the button says. */
  verb: string;
  submit: () => void;
  /** Nothing before the first answer. */
  matches: Scored[] | undefined;
  cost: ComponentChildren;
  /** The fields of the form. */
  children: ComponentChildren;
}): JSX.Element {
  return (
    <>
      <form
        class="card form"
        onSubmit={(event) => {
          event.preventDefault();
          submit();
        }}
      >
        <NamespaceField
          index={index}
          value={namespace}
          set={(name) => go(["index", index, "query"], { namespace: name })}
        />
        {children}
        <div class="buttons">
          <button type="submit" class="main" disabled={action.busy}>
            {verb}
          </button>
        </div>
      </form>
      <Problem text={action.error} />
      <div aria-live="polite">
        {matches !== undefined && (
          <Section title={`${count(matches.length)} matches`}>
            {cost}
            {matches.length === 0 ? (
              <Note>Nothing matches.</Note>
            ) : (
              <RecordTable label="Matches" index={index} namespace={namespace} records={matches} />
            )}
          </Section>
        )}
      </div>
    </>
  );
}
