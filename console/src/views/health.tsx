// Whether the server is well, and how busy it is.

import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

import { type Load, api } from "../api";
import { Chart, type Line, longer } from "../chart";
import { bytes, count, duration, micros, rate } from "../format";
import { useAsked } from "../hooks";
import { Figures, Note, Problem, Section } from "../ui";

const TICK_MS = 2000;
const NOTHING: Line = { times: [], values: [] };

interface Lines {
  requests: Line;
  latency: Line;
  memory: Line;
}

export function Health(): JSX.Element {
  const asked = useAsked(() => api.load(), [], () => TICK_MS);
  const ready = useAsked(() => api.ready(), [], () => TICK_MS);
  const load = asked.value;
  const lines = useLines(load);
  const isWell = asked.error === undefined && ready.error === undefined;
  return (
    <>
      <p class="status" role="status">
        {load === undefined ? (
          ""
        ) : isWell ? (
          <span class="state Completed">Ready</span>
        ) : (
          <span class="state Failed">Not ready</span>
        )}
      </p>
      <Problem text={asked.error ?? ready.error} />
      {load === undefined && asked.busy && <Note>Reading…</Note>}
      {load !== undefined && (
        <>
          <Figures of={figures(load)} />
          <Section title="Load">
            <div class="charts">
              <Chart label="Requests a second" line={lines.requests} show={(value) => rate(value)} />
              <Chart label="Time of a request, mean" line={lines.latency} show={(value) => micros(Math.round(value))} />
              <Chart label="Memory, without files" line={lines.memory} show={bytes} />
            </div>
          </Section>
        </>
      )}
    </>
  );
}

function figures(load: Load): (readonly [string, string] | undefined)[] {
  const { requests, memory } = load;
  return [
    ["Version", load.version],
    ["Up for", duration(load.uptime_seconds)],
    ["Requests now", `${count(requests.working)} of ${count(requests.working_max)}`],
    ["Answered", count(requests.answered)],
    ["Refused", count(requests.refused)],
    ["Failed", count(requests.failed)],
    ["Searches now", `${count(load.searches)} on ${count(load.threads)} threads`],
    ["Imports", `${count(load.imports.running)} running, ${count(load.imports.waiting)} waiting`],
    memory.anonymous_bytes === undefined ? undefined : ["Memory", bytes(memory.anonymous_bytes)],
    memory.resident_bytes === undefined ? undefined : ["With mapped files", bytes(memory.resident_bytes)],
    ["Not yet in segments", bytes(memory.memtables_bytes)],
    ["Disk free", bytes(load.disk_free_bytes)],
  ];
}

/** The figures of this page's own looks are among the requests. */
function useLines(load: Load | undefined): Lines {
  const [lines, setLines] = useState<Lines>({ requests: NOTHING, latency: NOTHING, memory: NOTHING });
  const before = useRef<{ at: number; requests: number; micros: number } | undefined>(undefined);
  useEffect(() => {
    if (load === undefined) return;
    const at = Date.now() / 1000;
    const { answered, refused, failed, micros } = load.requests;
    const requests = answered + refused + failed;
    const last = before.current;
    before.current = { at, requests, micros };
    const memory = load.memory.anonymous_bytes ?? load.memory.memtables_bytes;
    setLines((lines) => {
      const next = { ...lines, memory: longer(lines.memory, at, memory) };
      if (last === undefined || at - last.at < 0.05 || requests < last.requests) return next;
      const more = requests - last.requests;
      return {
        ...next,
        requests: longer(lines.requests, at, more / (at - last.at)),
        latency: longer(lines.latency, at, more > 0 ? (micros - last.micros) / more : 0),
      };
    });
  }, [load]);
  return lines;
}
