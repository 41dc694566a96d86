// Figures as people read them.

const WHOLE = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const SHORT = new Intl.NumberFormat("en-US", { maximumSignificantDigits: 3 });

export const count = (value: number): string => WHOLE.format(value);

export function bytes(value: number): string {
  const units = ["B", "KB", "MB", "GB", "TB"];
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${SHORT.format(value)} ${units[unit]}`;
}

export function duration(seconds: number): string {
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 60) return `${SHORT.format(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${Math.round(seconds % 60)} s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return `${hours} h ${minutes % 60} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

export function micros(value: number): string {
  return value < 1000 ? `${value} µs` : `${SHORT.format(value / 1000)} ms`;
}

export const rate = (value: number): string => `${SHORT.format(value)}/s`;

export const score = (value: number): string => (Number.isFinite(value) ? value.toPrecision(6) : String(value));

/** RFC 3339 as the local time, to the second. */
export function time(text: string): string {
  const at = new Date(text);
  if (Number.isNaN(at.getTime())) return text;
  const two = (part: number): string => String(part).padStart(2, "0");
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return `${day} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

/** The first components of a vector. */
export function components(values: number[] | undefined, most = 4): string {
  if (values === undefined || values.length === 0) return "";
  const shown = values.slice(0, most).map((value) => SHORT.format(value));
  return `[${shown.join(", ")}${values.length > most ? ", …" : ""}]`;
}

/** A value on one line. */
export const json = (value: unknown): string => (value === undefined ? "" : JSON.stringify(value));
