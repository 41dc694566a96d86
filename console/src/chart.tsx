// A line over time, drawn by uPlot. The same figures stand beside it as text.

import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";

export interface Line {
  /** Seconds since 1970. */
  times: number[];
  values: number[];
}

const HEIGHT = 140;

const color = (name: string): string => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

export function Chart({ label, line, show }: { label: string; line: Line; show: (value: number) => string }): JSX.Element {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const data = useRef(line);
  data.current = line;
  useEffect(() => {
    const make = (): void => {
      plot.current?.destroy();
      const node = place.current;
      if (node === null) return;
      const axis = {
        stroke: () => color("--muted"),
        grid: { stroke: () => color("--line"), width: 1 },
        ticks: { show: false },
        font: "11px system-ui, sans-serif",
      };
      plot.current = new uPlot(
        {
          width: Math.max(node.clientWidth, 100),
          height: HEIGHT,
          legend: { show: false },
          cursor: { show: false },
          scales: { y: { range: (_, __, most) => [0, most > 0 ? most * 1.1 : 2] } },
          axes: [
            { ...axis, size: 24, space: 90, incrs: STEPS, values: (_, ticks) => ticks.map(clock) },
            { ...axis, size: 64, values: (_, ticks) => ticks.map(show) },
          ],
          series: [{}, { stroke: () => color("--accent"), width: 1.5, points: { show: false } }],
        },
        [data.current.times, data.current.values],
        node,
      );
    };
    make();
    const resized = new ResizeObserver(() => {
      const node = place.current;
      if (node !== null && plot.current !== undefined && node.clientWidth > 0) {
        plot.current.setSize({ width: node.clientWidth, height: HEIGHT });
      }
    });
    if (place.current !== null) resized.observe(place.current);
    const dark = matchMedia("(prefers-color-scheme: dark)");
    dark.addEventListener("change", make);
    return () => {
      resized.disconnect();
      dark.removeEventListener("change", make);
      plot.current?.destroy();
      plot.current = undefined;
    };
  }, []);
  useEffect(() => {
    plot.current?.setData([line.times, line.values]);
  }, [line.times.length, line.times[line.times.length - 1]]);
  const last = line.values[line.values.length - 1];
  return (
    <figure class="chart">
      <figcaption>
        {label}
        {last !== undefined && <b>{show(last)}</b>}
      </figcaption>
      <div
        ref={place}
        role="img"
        aria-label={`${label} over time${last === undefined ? "" : `, now ${show(last)}`}`}
      />
    </figure>
  );
}

/** Seconds between two marks of the time. */
const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200];

/** The time of day, to the second. */
const clock = (seconds: number): string => new Date(seconds * 1000).toTimeString().slice(0, 8);

/** A line with one more point, of so many at most. */
export function longer(line: Line, time: number, value: number, most = 300): Line {
  return { times: [...line.times, time].slice(-most), values: [...line.values, value].slice(-most) };
}
