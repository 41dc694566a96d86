// Colours of records by a field of their metadata: a ramp for numbers, one colour each for the words
// that occur most.

import type { Vector } from "./api";

export interface Coloring {
  /** The field, which says whether colours have changed. */
  name: string;
  /** One for each record. */
  colors: string[];
  legend: [color: string, shown: string][];
}

const PLAIN = "#3d7fb8";
const OTHERS = "#8a8f98";
/** Apart from each other for most eyes, on light and on dark. */
const WORDS = ["#0072b2", "#e69f00", "#009e73", "#cc5ba0", "#d55e00", "#56b4e9", "#9a7fd1", "#a0912f"];
/** From low to high. */
const RAMP: [number, number, number][] = [
  [68, 70, 170],
  [33, 145, 160],
  [80, 185, 110],
  [240, 190, 50],
];
/** Fields that are offered at most. */
const FIELDS_MAX = 200;

/** Fields that records have, in order of their names. */
export function fieldsOf(records: Vector[]): string[] {
  const names = new Set<string>();
  for (const record of records) Object.keys(record.metadata ?? {}).forEach((name) => names.add(name));
  return [...names].sort().slice(0, FIELDS_MAX);
}

function ramp(part: number): string {
  const place = Math.min(Math.max(part, 0), 1) * (RAMP.length - 1);
  const low = Math.min(Math.floor(place), RAMP.length - 2);
  const [from, until] = [RAMP[low]!, RAMP[low + 1]!];
  const mixed = from.map((value, at) => Math.round(value + (until[at]! - value) * (place - low)));
  return `rgb(${mixed.join(", ")})`;
}

const shown = (value: unknown): string => (Array.isArray(value) ? value.join(", ") : String(value));

export function colorBy(records: Vector[], field: string): Coloring {
  if (field === "") return { name: field, colors: records.map(() => PLAIN), legend: [] };
  const values = records.map((record) => record.metadata?.[field]);
  const numbers = values.filter((value): value is number => typeof value === "number");
  const differ = new Set(numbers).size > WORDS.length;
  return numbers.length > 0 && differ && numbers.length >= values.filter((value) => value !== undefined).length
    ? byNumber(field, values, numbers)
    : byWord(field, values);
}

function byNumber(name: string, values: unknown[], numbers: number[]): Coloring {
  const least = numbers.reduce((a, b) => Math.min(a, b), Infinity);
  const most = numbers.reduce((a, b) => Math.max(a, b), -Infinity);
  const part = (value: number): number => (value - least) / (most - least);
  const steps = [0, 1 / 3, 2 / 3, 1];
  const legend = steps.map((step): [string, string] => [
    ramp(step),
    String(Number((least + step * (most - least)).toPrecision(4))),
  ]);
  const colors = values.map((value) => (typeof value === "number" ? ramp(part(value)) : OTHERS));
  return { name, colors, legend };
}

function byWord(name: string, values: unknown[]): Coloring {
  const counts = new Map<string, number>();
  for (const value of values) {
    if (value !== undefined) counts.set(shown(value), (counts.get(shown(value)) ?? 0) + 1);
  }
  const ordered = [...counts.entries()].sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1));
  const colored = new Map(ordered.slice(0, WORDS.length).map(([word], at) => [word, WORDS[at]!]));
  const legend = [...colored.entries()].map(([word, color]): [string, string] => [color, word.slice(0, 60)]);
  const isOther = (value: unknown): boolean => value === undefined || !colored.has(shown(value));
  if (values.some(isOther)) legend.push([OTHERS, "others"]);
  const colors = values.map((value) => (value === undefined ? OTHERS : (colored.get(shown(value)) ?? OTHERS)));
  return { name, colors, legend };
}
