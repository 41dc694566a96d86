// The query playground: a vector, or a record's own, a filter, and what the answer cost.

import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";

import { type Explain, type IndexModel, type Match, api } from "../api";
import { count, duration, micros } from "../format";
import { useAction, useAsked } from "../hooks";
import { parseObject, parseVector } from "../parse";
import { Check, Choice, Figures, TextArea, TextField } from "../ui";
import { Playground } from "./playground";
import { SearchView, fieldsOf } from "./search";

interface Answer {
  matches: Match[];
  explain: Explain | undefined;
  seconds: number;
}

type By = "id" | "vector";

interface Asked {
  index: string;
  namespace: string;
  id: string;
}

/** The playground that fits what the index holds. */
export function QueryView({ index, namespace, id }: Asked): JSX.Element {
  const described = useAsked(() => api.index(index), [index]);
  const fields = described.value === undefined ? undefined : fieldsOf(described.value);
  if (fields !== undefined) return <SearchView index={index} namespace={namespace} id={id} fields={fields} />;
  return <VectorQuery index={index} namespace={namespace} id={id} found={described.value} />;
}

function VectorQuery({ index, namespace, id: given, found }: Asked & { found: IndexModel | undefined }): JSX.Element {
  const [by, setBy] = useState<By>("id");
  const [id, setId] = useState(given);
  const [vector, setVector] = useState("");
  const [sparse, setSparse] = useState("");
  const [filter, setFilter] = useState("");
  const [topK, setTopK] = useState("10");
  const [scanFactor, setScanFactor] = useState("");
  const [values, setValues] = useState(false);
  const [answer, setAnswer] = useState<Answer | undefined>();
  const action = useAction();
  const isSparse = found?.vector_type === "sparse";
  const takesSparse = isSparse || found?.metric === "dotproduct";
  const run = (chosen: By, wantedId: string): void =>
    action.run(async () => {
      const body: Record<string, unknown> = {
        namespace,
        topK: Number(topK),
        includeMetadata: true,
        includeValues: values,
        explain: true,
        filter: parseObject(filter, "The filter"),
      };
      if (scanFactor.trim() !== "") body.scanFactor = Number(scanFactor);
      if (chosen === "id") {
        if (wantedId.trim() === "") throw new Error("No id is given.");
        body.id = wantedId.trim();
      } else {
        if (!isSparse) body.vector = parseVector(vector);
        const typed = takesSparse ? parseObject(sparse, "The sparse vector") : undefined;
        if (typed !== undefined) body.sparseVector = typed;
      }
      const began = performance.now();
      const { matches, explain } = await api.query(index, body);
      setAnswer({ matches, explain, seconds: (performance.now() - began) / 1000 });
    });
  useEffect(() => {
    // A record whose neighbours were asked for elsewhere.
    if (given === "") return;
    setBy("id");
    setId(given);
    run("id", given);
  }, [given, namespace]);
  return (
    <Playground
      index={index}
      namespace={namespace}
      action={action}
      verb="Query"
      submit={() => run(by, id)}
      matches={answer?.matches}
      cost={answer === undefined ? undefined : <Cost answer={answer} />}
    >
      <Choice
        label="Search by"
        value={by}
        set={(value) => setBy(value as By)}
        options={[
          ["id", "A record's vectors"],
          ["vector", "A vector of yours"],
        ]}
      />
      {by === "id" && <TextField label="Id" value={id} set={setId} mono />}
      {by === "vector" && !isSparse && (
        <TextArea
          label="Vector"
          value={vector}
          set={setVector}
          placeholder="[0.1, 0.2, …]"
          hint={found?.dimension === undefined ? undefined : `${count(found.dimension)} numbers, as JSON or apart by commas or spaces.`}
        />
      )}
      {by === "vector" && takesSparse && (
        <TextArea
          label="Sparse vector"
          rows={2}
          value={sparse}
          set={setSparse}
          placeholder='{"indices": [1, 7], "values": [0.5, 0.25]}'
        />
      )}
      <TextArea label="Filter" rows={2} value={filter} set={setFilter} placeholder='{"kind": {"$eq": "x"}}' />
      <TextField label="Matches" type="number" value={topK} set={setTopK} />
      <TextField
        label="Scan factor"
        type="text"
        value={scanFactor}
        set={setScanFactor}
        placeholder="1"
        hint="0.5 to 4: above 1 for recall, below for speed."
      />
      <Check label="With values" value={values} set={setValues} />
    </Playground>
  );
}

function Cost({ answer }: { answer: Answer }): JSX.Element {
  const { explain } = answer;
  return (
    <Figures
      of={[
        ["Round trip", duration(answer.seconds)],
        explain === undefined ? undefined : ["Search", micros(explain.micros.search)],
        explain === undefined ? undefined : ["Reading matches", micros(explain.micros.read)],
        explain === undefined ? undefined : ["Reading the request", micros(explain.micros.request)],
        explain === undefined ? undefined : ["Segments", count(explain.segments)],
        explain === undefined ? undefined : ["Lists read", count(explain.lists)],
        explain === undefined ? undefined : ["Rows scanned", count(explain.rowsScanned)],
        explain === undefined ? undefined : ["Rows scored", count(explain.rowsScored)],
        explain === undefined ? undefined : ["Rows in memory", count(explain.rowsInMemory)],
      ]}
    />
  );
}
