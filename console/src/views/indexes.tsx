// All indexes, with what they hold.

import type { JSX } from "preact";

import { type IndexModel, api } from "../api";
import { bytes, count } from "../format";
import { useAsked } from "../hooks";
import { to } from "../router";
import { Note, Problem, Table, someNamespaces } from "../ui";

/** Indexes whose sizes are asked for at the same time. */
const AT_ONCE = 4;

interface Row {
  index: IndexModel;
  records: number | undefined;
  namespaces: number | undefined;
  /** Bytes of the namespaces that were looked at, and whether there are more. */
  size: { bytes: number; isAll: boolean } | undefined;
}

async function rowOf(index: IndexModel): Promise<Row> {
  try {
    const [stats, found] = await Promise.all([api.stats(index.name), someNamespaces(index.name)]);
    const size = found.namespaces.reduce((sum, one) => sum + one.size_bytes, 0);
    return {
      index,
      records: stats.totalVectorCount,
      namespaces: found.total,
      size: { bytes: size, isAll: found.namespaces.length >= found.total },
    };
  } catch {
    // It may have been deleted meanwhile.
    return { index, records: undefined, namespaces: undefined, size: undefined };
  }
}

async function all(): Promise<Row[]> {
  const { indexes } = await api.indexes();
  const rows: Row[] = [];
  for (let at = 0; at < indexes.length; at += AT_ONCE) {
    rows.push(...(await Promise.all(indexes.slice(at, at + AT_ONCE).map(rowOf))));
  }
  return rows;
}

export function Indexes(): JSX.Element {
  const asked = useAsked(all, [], () => 30_000);
  const rows = asked.value;
  return (
    <>
      <Problem text={asked.error} />
      {rows === undefined && asked.busy && <Note>Reading…</Note>}
      {rows?.length === 0 && (
        <Note>
          There is no index yet. Make one with a client, or with <code>crossbill index create</code>.
        </Note>
      )}
      {rows !== undefined && rows.length > 0 && (
        <Table
          label="Indexes"
          heads={[
            "Index",
            "Kind",
            ["Dimension", "number"],
            "Metric",
            ["Records", "number"],
            ["Namespaces", "number"],
            ["Size", "number"],
            "Stored as",
            ["Recall target", "number"],
            "State",
            "Host",
          ]}
        >
          {rows.map(({ index, records, namespaces, size }) => (
            <tr key={index.name}>
              <th scope="row">
                <a href={to(["index", index.name])}>{index.name}</a>
              </th>
              <td>{index.vector_type}</td>
              <td class="number">{index.dimension ?? ""}</td>
              <td>{index.metric}</td>
              <td class="number">{records === undefined ? "" : count(records)}</td>
              <td class="number">{namespaces === undefined ? "" : count(namespaces)}</td>
              <td class="number">{size === undefined ? "" : `${size.isAll ? "" : "> "}${bytes(size.bytes)}`}</td>
              <td>{index.vector_storage ?? "sparse"}</td>
              <td class="number">{index.recall_target === undefined ? "exact" : index.recall_target}</td>
              <td>
                {index.status.state}
                {index.deletion_protection === "enabled" ? ", protected" : ""}
              </td>
              <td class="mono">{index.host}</td>
            </tr>
          ))}
        </Table>
      )}
    </>
  );
}
