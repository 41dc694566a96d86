// One index: its facts and its namespaces.

import type { JSX } from "preact";
import { useState } from "preact/hooks";

import { type Namespace, api } from "../api";
import { bytes, count } from "../format";
import { useAsked } from "../hooks";
import { to } from "../router";
import { Figures, Note, Problem, Section, Table } from "../ui";

export function Namespaces({ index }: { index: string }): JSX.Element {
  const described = useAsked(() => api.index(index), [index]);
  const stats = useAsked(() => api.stats(index), [index]);
  const [tokens, setTokens] = useState<string[]>([]);
  const token = tokens[tokens.length - 1];
  const page = useAsked(() => api.namespaces(index, token), [index, token]);
  const found = described.value;
  const tags = Object.entries(found?.tags ?? {});
  return (
    <>
      <Problem text={described.error ?? stats.error ?? page.error} />
      {found !== undefined && (
        <Figures
          of={[
            ["Kind", found.vector_type],
            found.dimension === undefined ? undefined : ["Dimension", found.dimension],
            ["Metric", found.metric],
            found.vector_storage === undefined ? undefined : ["Vectors stored as", found.vector_storage],
            ["Recall target", found.recall_target ?? "exact"],
            ["Records", stats.value === undefined ? "…" : count(stats.value.totalVectorCount)],
            ["Deletion protection", found.deletion_protection],
            ["Host", <span class="mono">{found.host}</span>],
            tags.length === 0 ? undefined : ["Tags", tags.map(([name, value]) => `${name}: ${value}`).join(", ")],
          ]}
        />
      )}
      <Section title={`Namespaces${page.value === undefined ? "" : ` (${count(page.value.total_count)})`}`}>
        {page.value?.namespaces.length === 0 && (
          <Note>
            No records yet. <a href={to(["index", index, "imports", "new"])}>Start an import</a>, or write some with a
            client.
          </Note>
        )}
        {page.value !== undefined && page.value.namespaces.length > 0 && (
          <Table label="Namespaces" heads={["Namespace", ["Records", "number"], ["Size", "number"], "Open"]}>
            {page.value.namespaces.map((one) => (
              <Row key={one.name} index={index} one={one} />
            ))}
          </Table>
        )}
        <div class="buttons">
          {tokens.length > 0 && (
            <button type="button" onClick={() => setTokens(tokens.slice(0, -1))}>
              Previous page
            </button>
          )}
          {page.value?.pagination?.next !== undefined && (
            <button type="button" onClick={() => setTokens([...tokens, page.value?.pagination?.next ?? ""])}>
              Next page
            </button>
          )}
        </div>
      </Section>
    </>
  );
}

function Row({ index, one }: { index: string; one: Namespace }): JSX.Element {
  const at = (part: string): string => to(["index", index, part], { namespace: one.name });
  return (
    <tr>
      <th scope="row" class="mono">
        <a href={at("records")}>{one.name}</a>
      </th>
      <td class="number">{count(one.record_count)}</td>
      <td class="number">{bytes(one.size_bytes)}</td>
      <td>
        <a href={at("query")} aria-label={`Query ${one.name}`}>
          Query
        </a>{" "}
        <a href={at("map")} aria-label={`Map of ${one.name}`}>
          Map
        </a>
      </td>
    </tr>
  );
}
