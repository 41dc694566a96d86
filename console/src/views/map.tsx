// A map of a namespace: a sample of its records, laid out by their two principal components and
// coloured by a field of their metadata.

import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

import type { Vector } from "../api";
import { count, json } from "../format";
import { useAction } from "../hooks";
import { type Coloring, colorBy, fieldsOf } from "../coloring";
import { type Projection, project } from "../pca";
import { fetchRecords, listIds } from "../records";
import { go, to } from "../router";
import { Choice, Figures, NamespaceField, Note, Problem, Section } from "../ui";

const SAMPLES = ["200", "500", "1000", "2000"];
/** Ids of one page of a listing. */
const PAGE = 100;

interface Sample {
  records: Vector[];
  projection: Projection;
}

/** The first records in id order. */
async function sampleOf(
  index: string,
  namespace: string,
  most: number,
  tell: (done: number) => void,
): Promise<Vector[]> {
  const records: Vector[] = [];
  let token: string | undefined;
  do {
    const page = await listIds(index, namespace, Math.min(PAGE, most - records.length), undefined, token);
    records.push(...(await fetchRecords(index, namespace, page.ids)));
    tell(records.length);
    token = page.next;
  } while (token !== undefined && records.length < most);
  return records;
}

export function MapView({ index, namespace }: { index: string; namespace: string }): JSX.Element {
  const [most, setMost] = useState("1000");
  const [field, setField] = useState("");
  const [done, setDone] = useState(0);
  const [sample, setSample] = useState<Sample | undefined>();
  const action = useAction();
  const draw = (): void =>
    action.run(async () => {
      setSample(undefined);
      setDone(0);
      const found = await sampleOf(index, namespace, Number(most), setDone);
      const width = found.find((record) => (record.values ?? []).length > 0)?.values?.length;
      if (width === undefined) throw new Error("There are no records with dense vectors here.");
      const records = found.filter((record) => record.values?.length === width);
      const projection = await project(records.map((record) => record.values ?? []));
      setSample({ records, projection });
    });
  const fields = sample === undefined ? [] : fieldsOf(sample.records);
  const chosen = fields.includes(field) ? field : "";
  return (
    <>
      <form
        class="card form"
        onSubmit={(event) => {
          event.preventDefault();
          draw();
        }}
      >
        <NamespaceField
          index={index}
          value={namespace}
          set={(name) => {
            setSample(undefined);
            go(["index", index, "map"], { namespace: name });
          }}
        />
        <Choice
          label="Records at most"
          value={most}
          set={setMost}
          options={SAMPLES.map((size) => [size, count(Number(size))] as [string, string])}
        />
        <Choice
          label="Colour by"
          value={chosen}
          set={setField}
          disabled={fields.length === 0}
          options={[["", "Nothing"], ...fields.map((name) => [name, name] as [string, string])]}
        />
        <div class="buttons">
          <button type="submit" class="main" disabled={action.busy}>
            Draw
          </button>
        </div>
      </form>
      <Problem text={action.error} />
      <p class="note" role="status">
        {action.busy && `Reading records: ${count(done)}`}
        {!action.busy && sample === undefined && action.error === undefined && "Draws the first records in id order."}
      </p>
      {sample !== undefined && (
        <Section title={`Map of ${count(sample.records.length)} records`}>
          <Figures
            of={[
              ["Across", `${(100 * sample.projection.explained[0]).toFixed(1)} % of the variance`],
              ["Up", `${(100 * sample.projection.explained[1]).toFixed(1)} %`],
            ]}
          />
          <Scatter
            key={chosen}
            index={index}
            namespace={namespace}
            sample={sample}
            coloring={colorBy(sample.records, chosen)}
            field={chosen}
          />
        </Section>
      )}
    </>
  );
}

const HEIGHT = 480;
const MARGIN = 14;
/** How near the pointer has to be to a point. */
const REACH = 12;

interface Spot {
  x: number;
  y: number;
}

/** Where each record is on a canvas of this width. */
function spotsOf({ x, y }: Projection, width: number): Spot[] {
  const span = (values: number[]): [number, number] => [
    values.reduce((least, value) => Math.min(least, value), Infinity),
    values.reduce((most, value) => Math.max(most, value), -Infinity),
  ];
  const [left, right] = span(x);
  const [low, high] = span(y);
  // One scale for both, so that distances say the same in all directions.
  const fits = (size: number, length: number): number => (length > 0 ? (size - 2 * MARGIN) / length : Infinity);
  const fitting = Math.min(fits(width, right - left), fits(HEIGHT, high - low));
  const scale = Number.isFinite(fitting) ? Math.max(fitting, 0) : 0;
  const place = (value: number, least: number, most: number, size: number): number =>
    size / 2 + (value - (least + most) / 2) * scale;
  return x.map((value, row) => ({
    x: place(value, left, right, width),
    y: HEIGHT - place(y[row] ?? 0, low, high, HEIGHT),
  }));
}

function Scatter({
  index,
  namespace,
  sample,
  coloring,
  field,
}: {
  index: string;
  namespace: string;
  sample: Sample;
  coloring: Coloring;
  field: string;
}): JSX.Element {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [width, setWidth] = useState(0);
  const [at, setAt] = useState<number | undefined>();
  const [dark, setDark] = useState(() => matchMedia("(prefers-color-scheme: dark)").matches);
  const spots = spotsOf(sample.projection, width);
  useEffect(() => {
    const node = canvas.current;
    if (node === null) return undefined;
    const resized = new ResizeObserver(() => setWidth(node.clientWidth));
    resized.observe(node);
    const scheme = matchMedia("(prefers-color-scheme: dark)");
    const changed = (): void => setDark(scheme.matches);
    scheme.addEventListener("change", changed);
    return () => {
      resized.disconnect();
      scheme.removeEventListener("change", changed);
    };
  }, []);
  useEffect(() => {
    if (canvas.current !== null && width > 0) paint(canvas.current, width, spots, coloring, at, dark);
  }, [width, at, coloring.name, dark]);
  const nearest = (event: MouseEvent): number | undefined => {
    const box = canvas.current?.getBoundingClientRect();
    if (box === undefined) return undefined;
    const here = { x: event.clientX - box.left, y: event.clientY - box.top };
    let best: number | undefined;
    let least = REACH * REACH;
    spots.forEach((spot, place) => {
      const square = (spot.x - here.x) ** 2 + (spot.y - here.y) ** 2;
      if (square < least) [best, least] = [place, square];
    });
    return best;
  };
  const step = (event: KeyboardEvent): void => {
    const steps: Record<string, number> = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
    const by = steps[event.key];
    if (by !== undefined) {
      event.preventDefault();
      const size = sample.records.length;
      setAt(at === undefined ? 0 : (at + by + size) % size);
    } else if (event.key === "Escape") {
      setAt(undefined);
    } else if (event.key === "Enter" && record !== undefined) {
      go(["index", index, "records"], { namespace, id: record.id });
    }
  };
  const record = at === undefined ? undefined : sample.records[at];
  const spot = at === undefined ? undefined : spots[at];
  return (
    <div class="map">
      <div class="plot">
        <canvas
          ref={canvas}
          role="application"
          aria-label={`Map of ${count(sample.records.length)} records. Arrow keys go from record to record, Enter opens one.`}
          tabIndex={0}
          style={{ height: `${HEIGHT}px` }}
          onMouseMove={(event) => setAt(nearest(event))}
          onMouseLeave={() => setAt(undefined)}
          onClick={(event) => {
            const hit = nearest(event);
            const clicked = hit === undefined ? undefined : sample.records[hit];
            if (clicked !== undefined) go(["index", index, "records"], { namespace, id: clicked.id });
          }}
          onKeyDown={step}
        />
        {record !== undefined && spot !== undefined && (
          <div
            class={spot.x > width / 2 ? "tip left" : "tip"}
            style={{ left: `${spot.x}px`, top: `${Math.min(spot.y, HEIGHT - 90)}px` }}
          >
            <b class="mono">{record.id}</b>
            <span class="mono">{json(record.metadata).slice(0, 400)}</span>
          </div>
        )}
      </div>
      <p class="unseen" role="status">
        {record === undefined ? "" : `${record.id} ${json(record.metadata).slice(0, 200)}`}
      </p>
      {coloring.legend.length > 0 && (
        <ul class="legend" aria-label={`Colours of ${field}`}>
          {coloring.legend.map(([color, shown]) => (
            <li key={shown}>
              <span class="dot" style={{ background: color }} aria-hidden="true" />
              {shown}
            </li>
          ))}
        </ul>
      )}
      {record !== undefined && (
        <p>
          <a href={to(["index", index, "records"], { namespace, id: record.id })}>Open {record.id}</a>
        </p>
      )}
      {sample.records.length < 3 && <Note>A map of so few records says little.</Note>}
    </div>
  );
}

function paint(
  node: HTMLCanvasElement,
  width: number,
  spots: Spot[],
  coloring: Coloring,
  at: number | undefined,
  dark: boolean,
): void {
  const ratio = window.devicePixelRatio;
  node.width = Math.round(width * ratio);
  node.height = Math.round(HEIGHT * ratio);
  const pen = node.getContext("2d");
  if (pen === null) return;
  pen.scale(ratio, ratio);
  pen.globalAlpha = 0.8;
  spots.forEach((spot, place) => {
    pen.fillStyle = coloring.colors[place] ?? "#888888";
    pen.beginPath();
    pen.arc(spot.x, spot.y, 2.5, 0, 2 * Math.PI);
    pen.fill();
  });
  const marked = at === undefined ? undefined : spots[at];
  if (marked !== undefined) {
    pen.globalAlpha = 1;
    pen.strokeStyle = dark ? "#ffffff" : "#000000";
    pen.lineWidth = 2;
    pen.beginPath();
    pen.arc(marked.x, marked.y, 6, 0, 2 * Math.PI);
    pen.stroke();
  }
}
