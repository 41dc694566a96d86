// Where vectors lie along the two directions in which they differ most (principal components), by
// power iteration from a start that is always the same, so that the same vectors give the same map.

export interface Projection {
  x: number[];
  y: number[];
  /** The part of all variance that each direction has. */
  explained: [number, number];
}

const ITERATIONS_MAX = 60;
/** How little a direction may still turn when it is taken for found. */
const SETTLED = 1e-7;
/** Milliseconds that the page may stand still at a time. */
const SLICE_MS = 30;

/** Projects vectors of one length. Gives the page its turn now and then. */
export async function project(vectors: readonly (readonly number[])[]): Promise<Projection> {
  const rows = vectors.length;
  const width = vectors[0]?.length ?? 0;
  const centred = centre(vectors, rows, width);
  const total = centred.reduce((sum, value) => sum + value * value, 0);
  const first = await direction(centred, rows, width, undefined);
  const x = products(centred, rows, width, first);
  const second = await direction(centred, rows, width, first);
  const y = products(centred, rows, width, second);
  const part = (found: Float64Array): number =>
    total > 0 ? found.reduce((sum, value) => sum + value * value, 0) / total : 0;
  return { x: Array.from(x), y: Array.from(y), explained: [part(x), part(y)] };
}

/** All vectors one after the other, less their mean. */
function centre(vectors: readonly (readonly number[])[], rows: number, width: number): Float64Array {
  const centred = new Float64Array(rows * width);
  const mean = new Float64Array(width);
  vectors.forEach((vector, row) => {
    for (let at = 0; at < width; at += 1) {
      const value = vector[at] ?? 0;
      centred[row * width + at] = value;
      mean[at] = (mean[at] ?? 0) + value / rows;
    }
  });
  for (let place = 0; place < centred.length; place += 1) {
    centred[place] = (centred[place] ?? 0) - (mean[place % width] ?? 0);
  }
  return centred;
}

/** The direction of most variance among those that stand upright on `without`. */
async function direction(
  centred: Float64Array,
  rows: number,
  width: number,
  without: Float64Array | undefined,
): Promise<Float64Array> {
  let found = normal(upright(startOf(width), without));
  let paused = performance.now();
  for (let turn = 0; turn < ITERATIONS_MAX; turn += 1) {
    const along = products(centred, rows, width, found);
    const next = new Float64Array(width);
    for (let row = 0; row < rows; row += 1) {
      const weight = along[row] ?? 0;
      const offset = row * width;
      for (let at = 0; at < width; at += 1) next[at]! += weight * centred[offset + at]!;
    }
    const turned = normal(upright(next, without));
    if (turned.every((value) => value === 0)) break;
    const change = turned.reduce((sum, value, at) => sum + (value - found[at]!) ** 2, 0);
    found = turned;
    if (change < SETTLED) break;
    if (performance.now() - paused > SLICE_MS) {
      await new Promise((resolve) => setTimeout(resolve, 0));
      paused = performance.now();
    }
  }
  return signed(found);
}

/** A start that is upright on no direction that occurs: waves of different lengths. */
const startOf = (width: number): Float64Array =>
  Float64Array.from({ length: width }, (_, at) => 1 + 0.5 * Math.sin(1 + 2.399963 * at));

function products(centred: Float64Array, rows: number, width: number, along: Float64Array): Float64Array {
  const found = new Float64Array(rows);
  for (let row = 0; row < rows; row += 1) {
    let sum = 0;
    const offset = row * width;
    for (let at = 0; at < width; at += 1) sum += centred[offset + at]! * along[at]!;
    found[row] = sum;
  }
  return found;
}

function upright(vector: Float64Array, on: Float64Array | undefined): Float64Array {
  if (on === undefined) return vector;
  const shared = vector.reduce((sum, value, at) => sum + value * on[at]!, 0);
  return vector.map((value, at) => value - shared * on[at]!);
}

function normal(vector: Float64Array): Float64Array {
  const length = Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0));
  return length > 0 ? vector.map((value) => value / length) : vector;
}

/** Of the two directions along one line, that whose largest component is positive. */
function signed(vector: Float64Array): Float64Array {
  let largest = 0;
  vector.forEach((value) => {
    if (Math.abs(value) > Math.abs(largest) + 1e-12) largest = value;
  });
  return largest < 0 ? vector.map((value) => -value) : vector;
}
