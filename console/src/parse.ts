// What people type or paste, as what the API takes. Each throws an Error whose message can be shown.

/** A vector: a JSON list, or numbers apart by spaces, commas or line ends. */
export function parseVector(text: string): number[] {
  const trimmed = text.trim();
  if (trimmed === "") throw new Error("The vector is empty.");
  let items: unknown;
  if (trimmed.startsWith("[")) {
    try {
      items = JSON.parse(trimmed);
    } catch {
      throw new Error("The vector is not a JSON list.");
    }
  } else {
    items = trimmed.split(/[\s,;]+/).filter((part) => part !== "").map(Number);
  }
  if (!Array.isArray(items) || items.length === 0) throw new Error("The vector is not a list of numbers.");
  const wrong = items.findIndex((item) => typeof item !== "number" || !Number.isFinite(item));
  if (wrong >= 0) throw new Error(`Component ${wrong} of the vector is not a number.`);
  return items as number[];
}

/** An object of JSON; undefined where nothing is typed. */
export function parseObject(text: string, what: string): Record<string, unknown> | undefined {
  if (text.trim() === "") return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new Error(`${what} is not JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new Error(`${what} is not a JSON object.`);
  }
  return value as Record<string, unknown>;
}

/** Names apart by commas or line ends. */
export const parseNames = (text: string): string[] =>
  text
    .split(/[,\n]/)
    .map((name) => name.trim())
    .filter((name) => name !== "");
