// One import: how far it is, how fast, what it refused; pause, resume, cancel.

import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

import { type Import, type Reject, api } from "../api";
import { Chart, type Line, longer } from "../chart";
import { bytes, count, duration, rate, time } from "../format";
import { useAction, useAsked } from "../hooks";
import { to } from "../router";
import { Bar, Figures, Note, Problem, Section, Table } from "../ui";
import { isOver, stateOf } from "./imports";

/** Rejects of a page. */
const PAGE = 50;
/** Milliseconds between two looks at an import that runs. */
const TICK_MS = 1000;

export function ImportView({ index, id }: { index: string; id: string }): JSX.Element {
  const asked = useAsked(
    () => api.describeImport(index, id),
    [index, id],
    (one) => (one !== undefined && isOver(one) ? 0 : TICK_MS),
  );
  const action = useAction();
  const one = asked.value;
  const speed = useThroughput(one);
  const act = (work: () => Promise<unknown>): void =>
    action.run(async () => {
      await work();
      asked.again();
    });
  if (one === undefined) {
    return asked.error === undefined ? <Note>Reading…</Note> : <Problem text={asked.error} />;
  }
  return (
    <>
      <Problem text={asked.error ?? action.error} />
      <div class="card">
        <div class="head">
          <p class="status" role="status">
            <span class={`state ${one.status}`}>{stateOf(one)}</span>
            {one.dryRun === true && " (dry run: nothing is written)"}
          </p>
          <div class="buttons">
            {!isOver(one) && one.paused !== true && (
              <button type="button" disabled={action.busy} onClick={() => act(() => api.pauseImport(index, id))}>
                Pause
              </button>
            )}
            {!isOver(one) && one.paused === true && (
              <button type="button" disabled={action.busy} onClick={() => act(() => api.resumeImport(index, id))}>
                Resume
              </button>
            )}
            {!isOver(one) && (
              <button
                type="button"
                class="danger"
                disabled={action.busy}
                onClick={() => act(() => api.cancelImport(index, id))}
              >
                Cancel import
              </button>
            )}
            <a class="button" href={to(["index", index, "imports"])}>
              All imports
            </a>
          </div>
        </div>
        <p class="mono uri">{one.uri}</p>
        <div class="progress">
          <Bar percent={one.percentComplete} label="Progress" />
          <span>{one.percentComplete.toFixed(one.percentComplete < 100 ? 1 : 0)} %</span>
        </div>
        <Progress one={one} />
      </div>
      <Problem text={one.error} />
      {one.estimate !== undefined && (
        <Note>
          The import would take about {duration(one.estimate.seconds)} and {bytes(one.estimate.diskBytes)} of disk;{" "}
          {bytes(one.estimate.diskFreeBytes)} are free.
        </Note>
      )}
      {(one.warnings ?? []).length > 0 && (
        <Section title="Warnings">
          <ul class="warnings">
            {(one.warnings ?? []).map((text) => (
              <li key={text}>{text}</li>
            ))}
          </ul>
        </Section>
      )}
      {speed.times.length > 1 && (
        <Section title="Throughput">
          <Chart label="Records a second" line={speed} show={(value) => (value < 10 ? String(Number(value.toFixed(1))) : count(value))} />
        </Section>
      )}
      <Rejects index={index} one={one} />
    </>
  );
}

function Progress({ one }: { one: Import }): JSX.Element {
  const seconds = (new Date(one.finishedAt ?? "").getTime() - new Date(one.createdAt).getTime()) / 1000;
  const of = (part: string, whole: string | undefined): string => (whole === undefined ? part : `${part} of ${whole}`);
  const optional = (total: number | undefined, shown: (value: number) => string): string | undefined =>
    total === undefined ? undefined : shown(total);
  return (
    <Figures
      of={[
        isOver(one) ? undefined : ["Phase", one.phase],
        ["Records read", of(count(one.recordsRead), optional(one.recordsTotal, count))],
        ["Imported", count(one.recordsImported)],
        ["Superseded", count(one.recordsSuperseded)],
        ["Rejected", count(one.recordsRejected)],
        isOver(one) ? undefined : ["Under way", count(one.recordsUnderWay ?? 0)],
        ["Files", of(count(one.filesDone), optional(one.filesTotal, count))],
        one.filesSkipped === undefined ? undefined : ["Files passed over", count(one.filesSkipped)],
        ["Bytes", of(bytes(one.bytesRead), optional(one.bytesTotal, bytes))],
        isOver(one) ? undefined : ["Rate", one.recordsPerSecond === undefined ? "…" : rate(one.recordsPerSecond)],
        isOver(one) ? undefined : ["Left", one.etaSeconds === undefined ? "…" : duration(one.etaSeconds)],
        ["Started", time(one.createdAt)],
        one.finishedAt === undefined ? undefined : ["Ended", time(one.finishedAt)],
        Number.isFinite(seconds) && seconds > 0 ? ["Took", duration(seconds)] : undefined,
        [
          "Mode",
          [one.mode ?? "upsert", one.atomic === true ? "all at once" : "", one.skipLoaded === true ? "skips loaded" : ""]
            .filter((part) => part !== "")
            .join(", "),
        ],
        ["On a bad record", one.errorMode + (one.maxErrors === undefined ? "" : `, at most ${count(one.maxErrors)}`)],
      ]}
    />
  );
}

/** Records a second between one look and the next, while it runs. */
function useThroughput(one: Import | undefined): Line {
  const [line, setLine] = useState<Line>({ times: [], values: [] });
  const before = useRef<{ at: number; records: number } | undefined>(undefined);
  useEffect(() => {
    if (one === undefined) return;
    const at = Date.now() / 1000;
    const records = one.recordsRead + (one.recordsUnderWay ?? 0);
    const last = before.current;
    before.current = { at, records };
    if (last === undefined || at - last.at < 0.05) return;
    if (isOver(one) && records === last.records) return;
    setLine((line) => longer(line, at, Math.max(0, (records - last.records) / (at - last.at)), 600));
  }, [one]);
  return line;
}

function Rejects({ index, one }: { index: string; one: Import }): JSX.Element | null {
  const [offset, setOffset] = useState(0);
  const asked = useAsked(() => api.rejects(index, one.id, offset, PAGE), [index, one.id, offset, one.recordsRejected]);
  const saving = useAction();
  const found = asked.value;
  if (one.recordsRejected === 0 && (found?.total ?? 0) === 0) return null;
  return (
    <Section
      title={`Rejects (${count(found?.total ?? one.recordsRejected)})`}
      aside={
        <button
          type="button"
          disabled={saving.busy}
          onClick={() => saving.run(async () => save(`import-${one.id}-rejects.jsonl`, await allRejects(index, one.id)))}
        >
          Download all
        </button>
      }
    >
      <Problem text={asked.error ?? saving.error} />
      {found !== undefined && found.data.length > 0 && (
        <Table
          label="Rejects"
          heads={["Code", "Message", "File", ["Row", "number"], "Id", "Column", "Record"]}
        >
          {found.data.map((reject, place) => (
            <tr key={offset + place}>
              <td class="mono">{reject.code}</td>
              <td class="message">{reject.message}</td>
              <td class="mono">{reject.file}</td>
              <td class="number">{reject.row === undefined ? "" : count(reject.row)}</td>
              <td class="mono id">{reject.id ?? ""}</td>
              <td class="mono">{reject.column ?? ""}</td>
              <td class="mono cut">{reject.record ?? ""}</td>
            </tr>
          ))}
        </Table>
      )}
      <div class="buttons">
        {offset > 0 && (
          <button type="button" onClick={() => setOffset(Math.max(0, offset - PAGE))}>
            Previous page
          </button>
        )}
        {found !== undefined && offset + found.data.length < found.total && (
          <button type="button" onClick={() => setOffset(offset + PAGE)}>
            Next page
          </button>
        )}
      </div>
    </Section>
  );
}

/** Rejects that a download holds at most; the command line takes them all. */
const DOWNLOAD_MAX = 100_000;

async function allRejects(index: string, id: string): Promise<Blob> {
  const all: Reject[] = [];
  for (;;) {
    const page = await api.rejects(index, id, all.length, 1000, true);
    all.push(...page.data);
    if (page.data.length === 0 || all.length >= Math.min(page.total, DOWNLOAD_MAX)) break;
  }
  return new Blob(
    all.map((reject) => `${JSON.stringify(reject)}\n`),
    { type: "application/x-ndjson" },
  );
}

function save(name: string, content: Blob): void {
  const url = URL.createObjectURL(content);
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  // The browser has begun to save by then.
  window.setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
