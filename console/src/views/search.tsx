// The playground of an index of documents: words, a vector, or a document's own vector, and a filter.

import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";

import { type IndexModel, type SchemaField, documents } from "../api";
import { duration } from "../format";
import { useAction } from "../hooks";
import { parseObject, parseVector } from "../parse";
import type { Scored } from "../recordtable";
import { Choice, Figures, TextArea, TextField } from "../ui";
import { Playground } from "./playground";

/** Fields that stand for the vectors of an index of vectors. */
const OF_VECTORS = ["_values", "_sparse_values"];

/** The fields of documents that can be searched, by kind. */
export interface Searched {
  texts: string[];
  dense: string | undefined;
  sparse: string | undefined;
}

/** Those of the index; nothing where it holds vectors. */
export function fieldsOf(index: IndexModel): Searched | undefined {
  const fields = Object.entries(index.schema?.fields ?? {}).filter(([name]) => !OF_VECTORS.includes(name));
  const named = (wanted: (field: SchemaField) => boolean): string[] =>
    fields.filter(([, field]) => wanted(field)).map(([name]) => name);
  const texts = named((field) => field.full_text_search !== undefined);
  const [dense] = named((field) => field.type === "dense_vector");
  const [sparse] = named((field) => field.type === "sparse_vector");
  const areNone = texts.length === 0 && dense === undefined && sparse === undefined;
  return areNone ? undefined : { texts, dense, sparse };
}

type By = "words" | "dense" | "sparse" | "id";

interface Answer {
  matches: Scored[];
  seconds: number;
}

interface Asked {
  index: string;
  namespace: string;
  id: string;
  fields: Searched;
}

export function SearchView({ index, namespace, id: given, fields }: Asked): JSX.Element {
  const { texts, dense, sparse } = fields;
  const options: [By, string][] = [
    ...(texts.length > 0 ? ([["words", "Words"]] as [By, string][]) : []),
    ...(dense !== undefined ? ([["dense", `A vector of yours: ${dense}`]] as [By, string][]) : []),
    ...(sparse !== undefined ? ([["sparse", `A sparse vector of yours: ${sparse}`]] as [By, string][]) : []),
    ...(dense !== undefined ? ([["id", "A document's own vector"]] as [By, string][]) : []),
  ];
  const [by, setBy] = useState<By>(options[0]?.[0] ?? "words");
  const [words, setWords] = useState("");
  const [vector, setVector] = useState("");
  const [sparseVector, setSparseVector] = useState("");
  const [id, setId] = useState(given);
  const [filter, setFilter] = useState("");
  const [topK, setTopK] = useState("10");
  const [answer, setAnswer] = useState<Answer | undefined>();
  const action = useAction();
  const clause = async (chosen: By, wantedId: string): Promise<Record<string, unknown>> => {
    if (chosen === "words") return { type: "query_string", query: words };
    if (chosen === "dense") return { type: "dense_vector", field: dense, values: parseVector(vector) };
    if (chosen === "sparse") {
      const typed = parseObject(sparseVector, "The sparse vector");
      return { type: "sparse_vector", field: sparse, sparse_values: typed };
    }
    if (wantedId.trim() === "") throw new Error("No id is given.");
    const found = await documents.fetch(index, namespace, { ids: [wantedId.trim()], include_fields: ["*"] });
    const values = found.documents[wantedId.trim()]?.[dense ?? ""];
    if (values === undefined) throw new Error(`There is no document ${wantedId.trim()}.`);
    return { type: "dense_vector", field: dense, values };
  };
  const run = (chosen: By, wantedId: string): void =>
    action.run(async () => {
      const body = {
        score_by: [await clause(chosen, wantedId)],
        top_k: Number(topK),
        include_fields: ["*"],
        filter: parseObject(filter, "The filter"),
      };
      const began = performance.now();
      const { matches } = await documents.search(index, namespace, body);
      const seconds = (performance.now() - began) / 1000;
      setAnswer({ matches: matches.map(scored), seconds });
    });
  useEffect(() => {
    // A document whose neighbours were asked for elsewhere.
    if (given === "" || dense === undefined) return;
    setBy("id");
    setId(given);
    run("id", given);
  }, [given, namespace]);
  return (
    <Playground
      index={index}
      namespace={namespace}
      action={action}
      verb="Search"
      submit={() => run(by, id)}
      matches={answer?.matches}
      cost={answer === undefined ? undefined : <Figures of={[["Round trip", duration(answer.seconds)]]} />}
    >
      <Choice label="Search by" value={by} set={(value) => setBy(value as By)} options={options} />
      {by === "words" && (
        <TextArea
          label="Words"
          rows={2}
          value={words}
          set={setWords}
          placeholder={`pine cones, ${texts[0] ?? "body"}:(pine AND "seed cones")`}
          hint={`In the syntax of Lucene, over ${texts.join(", ")}.`}
        />
      )}
      {by === "dense" && <TextArea label="Vector" value={vector} set={setVector} placeholder="[0.1, 0.2, …]" />}
      {by === "sparse" && (
        <TextArea
          label="Sparse vector"
          rows={2}
          value={sparseVector}
          set={setSparseVector}
          placeholder='{"indices": [1, 7], "values": [0.5, 0.25]}'
        />
      )}
      {by === "id" && <TextField label="Id" value={id} set={setId} mono />}
      <TextArea label="Filter" rows={2} value={filter} set={setFilter} placeholder='{"year": {"$gte": 2020}}' />
      <TextField label="Matches" type="number" value={topK} set={setTopK} />
    </Playground>
  );
}

function scored(match: Record<string, unknown> & { _id: string; _score: number }): Scored {
  const { _id: id, _score: score, ...fields } = match;
  return { id, score, metadata: fields };
}
