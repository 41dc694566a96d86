// Records in a table; one of them can be opened to its whole.

import { Fragment, type JSX } from "preact";
import { useState } from "preact/hooks";

import type { Vector } from "./api";
import { components, count, json, score } from "./format";
import { to } from "./router";
import { Table } from "./ui";

export interface Scored extends Vector {
  score?: number;
}

/** Components that are shown of an opened record's vector. */
const SHOWN_COMPONENTS = 2000;

export function RecordTable({
  label,
  index,
  namespace,
  records,
}: {
  label: string;
  index: string;
  namespace: string;
  records: Scored[];
}): JSX.Element {
  const [open, setOpen] = useState<string | undefined>();
  const areScored = records.some((record) => record.score !== undefined);
  const haveVectors = records.some((record) => shownVector(record) !== "");
  const heads: (string | [string, string])[] = [
    ...(areScored ? ([["#", "number"], ["Score", "number"]] as [string, string][]) : []),
    "Id",
    "Metadata",
    ...(haveVectors ? ["Vector"] : []),
    "Record",
  ];
  return (
    <Table label={label} heads={heads}>
      {records.map((record, place) => (
        <Fragment key={record.id}>
          <tr class={open === record.id ? "open" : undefined}>
            {areScored && <td class="number">{place + 1}</td>}
            {areScored && <td class="number">{record.score === undefined ? "" : score(record.score)}</td>}
            <th scope="row" class="mono id">
              {record.id}
            </th>
            <td class="mono cut">{json(record.metadata)}</td>
            {haveVectors && <td class="mono cut short">{shownVector(record)}</td>}
            <td class="actions">
              <button
                type="button"
                class="quiet"
                aria-expanded={open === record.id}
                aria-label={`${open === record.id ? "Close" : "Open"} record ${record.id}`}
                onClick={() => setOpen(open === record.id ? undefined : record.id)}
              >
                {open === record.id ? "Close" : "Open"}
              </button>{" "}
              <a
                href={to(["index", index, "query"], { namespace, id: record.id })}
                aria-label={`Query by record ${record.id}`}
              >
                Query
              </a>
            </td>
          </tr>
          {open === record.id && (
            <tr class="opened">
              <td colSpan={heads.length}>
                <Whole record={record} />
              </td>
            </tr>
          )}
        </Fragment>
      ))}
    </Table>
  );
}

function shownVector(record: Vector): string {
  const sparse = record.sparseValues;
  const parts = [components(record.values)];
  if (sparse !== undefined) parts.push(`${count(sparse.indices.length)} sparse`);
  return parts.filter((part) => part !== "").join(" ");
}

/** All of a record. */
export function Whole({ record }: { record: Vector }): JSX.Element {
  const values = record.values ?? [];
  const sparse = record.sparseValues;
  const more = values.length > SHOWN_COMPONENTS ? ", …" : "";
  return (
    <div class="whole">
      <h3>Metadata of {record.id}</h3>
      <pre tabIndex={0} aria-label="Metadata">
        {record.metadata === undefined ? "none" : JSON.stringify(record.metadata, null, 2)}
      </pre>
      {values.length > 0 && (
        <>
          <h3>Vector ({count(values.length)} components)</h3>
          <pre tabIndex={0} aria-label="Vector" class="values">{`[${values.slice(0, SHOWN_COMPONENTS).join(", ")}${more}]`}</pre>
        </>
      )}
      {sparse !== undefined && (
        <>
          <h3>Sparse vector ({count(sparse.indices.length)} entries)</h3>
          <pre tabIndex={0} aria-label="Sparse vector" class="values">
            {sparse.indices.map((at, place) => `${at}: ${sparse.values[place] ?? 0}`).join(", ")}
          </pre>
        </>
      )}
    </div>
  );
}
