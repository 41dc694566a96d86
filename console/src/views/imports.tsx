// The imports of an index, live.

import type { JSX } from "preact";
import { useState } from "preact/hooks";

import { type Import, api } from "../api";
import { count, duration, rate, time } from "../format";
import { useAsked } from "../hooks";
import { to } from "../router";
import { Bar, Note, Problem, Section, Table } from "../ui";

export const isOver = (one: Import): boolean => one.status !== "Pending" && one.status !== "InProgress";

/** What it is doing, or how it ended, in a word or two. */
export function stateOf(one: Import): string {
  if (isOver(one)) return one.status;
  if (one.paused === true) return "Paused";
  return one.status === "Pending" ? "Pending" : one.phase;
}

export function Imports({ index }: { index: string }): JSX.Element {
  const [tokens, setTokens] = useState<string[]>([]);
  const token = tokens[tokens.length - 1];
  const asked = useAsked(
    () => api.imports(index, token),
    [index, token],
    (page) => (page?.data.some((one) => !isOver(one)) === true ? 1000 : 5000),
  );
  const found = asked.value?.data;
  return (
    <Section
      title="Imports"
      aside={
        <a class="button main" href={to(["index", index, "imports", "new"])}>
          New import
        </a>
      }
    >
      <Problem text={asked.error} />
      {found === undefined && asked.busy && <Note>Reading…</Note>}
      {found?.length === 0 && <Note>There was no import yet.</Note>}
      {found !== undefined && found.length > 0 && (
        <Table
          label="Imports"
          heads={[
            ["Import", "number"],
            "State",
            "Source",
            "Progress",
            ["Imported", "number"],
            ["Rejected", "number"],
            ["Rate", "number"],
            ["Left", "number"],
            "Started",
          ]}
        >
          {found.map((one) => (
            <tr key={one.id}>
              <th scope="row" class="number">
                <a href={to(["index", index, "imports", one.id])} aria-label={`Import ${one.id}`}>
                  {one.id}
                </a>
              </th>
              <td>
                <span class={`state ${one.status}`}>{stateOf(one)}</span>
                {one.dryRun === true && " (dry run)"}
              </td>
              <td class="mono cut">{one.uri}</td>
              <td>
                <Bar percent={one.percentComplete} label={`Progress of import ${one.id}`} />{" "}
                {Math.floor(one.percentComplete)} %
              </td>
              <td class="number">{count(one.recordsImported)}</td>
              <td class="number">{count(one.recordsRejected)}</td>
              <td class="number">{one.recordsPerSecond === undefined ? "" : rate(one.recordsPerSecond)}</td>
              <td class="number">{one.etaSeconds === undefined ? "" : duration(one.etaSeconds)}</td>
              <td>{time(one.createdAt)}</td>
            </tr>
          ))}
        </Table>
      )}
      <div class="buttons">
        {tokens.length > 0 && (
          <button type="button" onClick={() => setTokens(tokens.slice(0, -1))}>
            Newer
          </button>
        )}
        {asked.value?.pagination?.next !== undefined && (
          <button type="button" onClick={() => setTokens([...tokens, asked.value?.pagination?.next ?? ""])}>
            Older
          </button>
        )}
      </div>
    </Section>
  );
}
