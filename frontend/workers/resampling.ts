import { countsToRuns, runsToCounts } from "../core/rle";
import type { Rle, Size } from "../core/types";

/**
 * Masks between the image and the decoder's low resolution, with the numbers that torch gives.
 *
 * The encoder sees the image at `seen`, in the top left corner of a square whose side is 4 × `low`;
 * of the logits only the part that the image has need be there, with one row or column more.
 * Low-resolution logits become a mask by two bilinear enlargements (`Sam.postprocess_masks`), which
 * are one weighted sum of three neighbours along each axis; masks become logits by area averages.
 */

const STEP = 4;
const TAPS = 3;
/** How sure a previous mask is, as in `inference/engines/sam.py`. */
const LOGIT = 8;

interface Axis {
  /** Of each pixel, the first of its three neighbours. */
  readonly first: Int32Array;
  readonly weights: Float64Array;
}

/** Bilinear without aligned corners: the neighbour to the left and the weight of the right one. */
function place(index: number, scale: number): readonly [number, number] {
  const at = Math.max(0, (index + 0.5) * scale - 0.5);
  const left = Math.floor(at);
  return [left, at - left];
}

function axis(low: number, seen: number, size: number): Axis {
  const first = new Int32Array(size);
  const weights = new Float64Array(size * TAPS);
  for (let i = 0; i < size; i++) {
    const [middle, share] = place(i, seen / size);
    const start = Math.min(place(middle, 1 / STEP)[0], low - TAPS);
    first[i] = start;
    for (const [at, part] of [
      [middle, 1 - share],
      [Math.min(middle + 1, seen - 1), share],
    ] as const) {
      const [left, right] = place(at, 1 / STEP);
      weights[i * TAPS + Math.min(left, low - 1) - start]! += part * (1 - right);
      weights[i * TAPS + Math.min(left + 1, low - 1) - start]! += part * right;
    }
  }
  return { first, weights };
}

/** For each low-resolution row the first pixel that begins with it or a later one, and the end. */
function begins({ first }: Axis, low: number): Int32Array {
  const found = new Int32Array(low + 1).fill(first.length);
  for (let i = first.length - 1; i >= 0; i--) found[first[i]!] = i;
  for (let row = low - 1; row >= 0; row--) {
    found[row] = Math.min(found[row]!, found[row + 1]!);
  }
  return found;
}

/**
 * The pixels of the image whose logit is above 0, as RLE; null when there are none.
 *
 * Between neighbours of one sign there is no other, so pixels are looked at where signs differ.
 */
export function thresholded(
  logits: Float32Array,
  low: Size,
  seen: Size,
  size: Size,
): string | null {
  const { width, height } = size;
  const across = axis(low.width, seen.width, width);
  const down = axis(low.height, seen.height, height);
  const rows = begins(down, low.height);
  const last = down.first[height - 1]! + TAPS;
  const column = new Float64Array(low.height);
  const above = columnsAbove(logits, low.width, last);
  const runs: number[] = [];
  let run = 0;
  let inside = false;
  const add = (is: boolean, pixels: number) => {
    if (is !== inside) {
      runs.push(run);
      run = 0;
      inside = is;
    }
    run += pixels;
  };
  for (let x = 0; x < width; x++) {
    const start = across.first[x]!;
    if (!(above[start] || above[start + 1] || above[start + 2])) {
      add(false, height);
      continue;
    }
    const a = across.weights[x * TAPS]!;
    const b = across.weights[x * TAPS + 1]!;
    const c = across.weights[x * TAPS + 2]!;
    for (let row = 0, at = start; row < last; row++, at += low.width) {
      column[row] = a * logits[at]! + b * logits[at + 1]! + c * logits[at + 2]!;
    }
    for (let row = 0; row + TAPS <= last; row++) {
      const p = column[row]!;
      const q = column[row + 1]!;
      const r = column[row + 2]!;
      const end = rows[row + 1]!;
      const is = p > 0;
      if (q > 0 === is && r > 0 === is) {
        add(is, end - rows[row]!);
        continue;
      }
      for (let y = rows[row]!; y < end; y++) {
        const at = y * TAPS;
        const { weights } = down;
        add(weights[at]! * p + weights[at + 1]! * q + weights[at + 2]! * r > 0, 1);
      }
    }
  }
  runs.push(run);
  return runs.length > 1 ? runsToCounts(runs) : null;
}

/** Of each column whether a logit of its first `rows` is above 0. */
function columnsAbove(logits: Float32Array, width: number, rows: number): Uint8Array {
  const found = new Uint8Array(width);
  for (let row = 0, at = 0; row < rows; row++) {
    for (let x = 0; x < width; x++, at++) if (logits[at]! > 0) found[x] = 1;
  }
  return found;
}

/** The pixels behind each place at which the encoder sees: from `starts` up to `ends`. */
interface Places {
  readonly starts: Int32Array;
  readonly ends: Int32Array;
}

function places(size: number, seen: number): Places {
  const starts = new Int32Array(seen);
  const ends = new Int32Array(seen);
  for (let j = 0; j < seen; j++) {
    starts[j] = Math.floor((j * size) / seen);
    ends[j] = Math.ceil(((j + 1) * size) / seen);
  }
  return { starts, ends };
}

/** Part of row `i`, an average over STEP places (padded with 0), that pixels from…to make up. */
function share({ starts, ends }: Places, i: number, from: number, to: number): number {
  let total = 0;
  for (let j = i * STEP; j < Math.min(starts.length, (i + 1) * STEP); j++) {
    const [start, end] = [starts[j]!, ends[j]!];
    total += Math.max(0, Math.min(end, to) - Math.max(start, from)) / (end - start);
  }
  return total / STEP;
}

/** A mask of the image as the decoder takes it: logits, low × low. */
export function lowResolution(mask: Rle, low: number, seen: Size): Float32Array {
  const [height, width] = mask.size;
  const down = places(height, seen.height);
  const rows = Math.ceil(seen.height / STEP);
  const whole = Float64Array.from({ length: rows }, (_, i) => share(down, i, 0, height));
  const lines = new Float64Array(rows * width);
  for (const [x, from, to] of spans(mask)) {
    for (let i = Math.floor((from * seen.height) / height / STEP); i < rows; i++) {
      const start = down.starts[i * STEP]!;
      if (start >= to) break;
      const end = down.ends[Math.min(seen.height, (i + 1) * STEP) - 1]!;
      lines[i * width + x]! += from <= start && end <= to ? whole[i]! : share(down, i, from, to);
    }
  }
  const across = places(width, seen.width);
  const logits = new Float32Array(low * low).fill(-LOGIT);
  const sums = new Float64Array(width + 1);
  for (let row = 0; row < rows; row++) {
    for (let x = 0; x < width; x++) sums[x + 1] = sums[x]! + lines[row * width + x]!;
    if (sums[width] === 0) continue;
    for (let column = 0; column * STEP < seen.width; column++) {
      let total = 0;
      for (let j = column * STEP; j < Math.min(seen.width, (column + 1) * STEP); j++) {
        const [start, end] = [across.starts[j]!, across.ends[j]!];
        total += (sums[end]! - sums[start]!) / (end - start);
      }
      logits[row * low + column] = (total / STEP - 0.5) * 2 * LOGIT;
    }
  }
  return logits;
}

/** Each column's parts inside a mask: x, the first y, the y behind the last. */
function* spans({
  size: [height, width],
  counts,
}: Rle): Generator<readonly [number, number, number]> {
  let at = 0;
  let inside = false;
  for (const run of countsToRuns(counts, { width, height })) {
    const end = at + run;
    while (inside && at < end) {
      const x = Math.floor(at / height);
      const to = Math.min(end, (x + 1) * height);
      yield [x, at - x * height, to - x * height];
      at = to;
    }
    at = end;
    inside = !inside;
  }
}

/** The smallest box around a mask, null around nothing. */
export function boxOf(mask: Rle): { x: number; y: number; width: number; height: number } | null {
  const [height, width] = mask.size;
  let [left, right, top, bottom] = [width, 0, height, 0];
  for (const [x, from, to] of spans(mask)) {
    left = Math.min(left, x);
    right = x + 1;
    top = Math.min(top, from);
    bottom = Math.max(bottom, to);
  }
  return right ? { x: left, y: top, width: right - left, height: bottom - top } : null;
}
