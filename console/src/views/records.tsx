// Records of a namespace: browsed in id order, fetched by id, or those that match a filter.

import type { JSX } from "preact";
import { useState } from "preact/hooks";

import { useAsked } from "../hooks";
import { parseNames, parseObject } from "../parse";
import { RecordTable } from "../recordtable";
import { type Page, browse, fetchRecords, filtered } from "../records";
import { go } from "../router";
import { Choice, NamespaceField, Note, Problem, Section, TextArea, TextField } from "../ui";

/** Records of a page. */
const PAGE = 25;

type How = "browse" | "fetch" | "filter";

interface Wanted {
  how: How;
  prefix: string;
  ids: string[];
  filter: Record<string, unknown> | undefined;
}

export function Records({ index, namespace, id }: { index: string; namespace: string; id: string }): JSX.Element {
  const [how, setHow] = useState<How>(id === "" ? "browse" : "fetch");
  const [prefix, setPrefix] = useState("");
  const [ids, setIds] = useState(id);
  const [filter, setFilter] = useState("");
  const [wrong, setWrong] = useState<string | undefined>();
  const [wanted, setWanted] = useState<Wanted>({ how, prefix, ids: parseNames(id), filter: undefined });
  const [tokens, setTokens] = useState<string[]>([]);
  const token = tokens[tokens.length - 1];
  const ask = async (): Promise<Page> => {
    if (wanted.how === "fetch") {
      return { records: await fetchRecords(index, namespace, wanted.ids), next: undefined };
    }
    if (wanted.how === "filter" && wanted.filter !== undefined) {
      return filtered(index, namespace, wanted.filter, PAGE, token);
    }
    return browse(index, namespace, PAGE, wanted.prefix, token);
  };
  const asked = useAsked(ask, [index, namespace, wanted, token]);
  const show = (): void => {
    try {
      const typed = how === "filter" ? parseObject(filter, "The filter") : undefined;
      if (how === "filter" && typed === undefined) throw new Error("The filter is empty.");
      const named = parseNames(ids);
      if (how === "fetch" && named.length === 0) throw new Error("No id is given.");
      setWrong(undefined);
      setTokens([]);
      setWanted({ how, prefix, ids: named, filter: typed });
    } catch (error) {
      setWrong(error instanceof Error ? error.message : String(error));
    }
  };
  const records = asked.value?.records;
  const missing =
    wanted.how === "fetch" && records !== undefined
      ? wanted.ids.filter((one) => !records.some((record) => record.id === one))
      : [];
  return (
    <>
      <form
        class="card form"
        onSubmit={(event) => {
          event.preventDefault();
          show();
        }}
      >
        <NamespaceField
          index={index}
          value={namespace}
          set={(name) => {
            setTokens([]);
            go(["index", index, "records"], { namespace: name });
          }}
        />
        <Choice
          label="Show"
          value={how}
          set={(value) => setHow(value as How)}
          options={[
            ["browse", "All, in id order"],
            ["fetch", "Those with these ids"],
            ["filter", "Those that match a filter"],
          ]}
        />
        {how === "browse" && <TextField label="Ids that begin with" value={prefix} set={setPrefix} mono />}
        {how === "fetch" && (
          <TextArea label="Ids" rows={2} value={ids} set={setIds} hint="Apart by commas or lines." />
        )}
        {how === "filter" && (
          <TextArea label="Filter" rows={2} value={filter} set={setFilter} placeholder='{"kind": {"$eq": "x"}}' />
        )}
        <div class="buttons">
          <button type="submit" class="main">
            Show
          </button>
        </div>
      </form>
      <Problem text={wrong ?? asked.error} />
      <Section title="Records">
        {records === undefined && asked.busy && <Note>Reading…</Note>}
        {records?.length === 0 && missing.length === 0 && <Note>There are no such records.</Note>}
        {missing.length > 0 && (
          <Note>
            Not found: <span class="mono">{missing.join(", ")}</span>
          </Note>
        )}
        {records !== undefined && records.length > 0 && (
          <RecordTable label="Records" index={index} namespace={namespace} records={records} />
        )}
        <div class="buttons">
          {tokens.length > 0 && (
            <button type="button" onClick={() => setTokens(tokens.slice(0, -1))}>
              Previous page
            </button>
          )}
          {asked.value?.next !== undefined && (
            <button type="button" onClick={() => setTokens([...tokens, asked.value?.next ?? ""])}>
              Next page
            </button>
          )}
        </div>
      </Section>
    </>
  );
}
