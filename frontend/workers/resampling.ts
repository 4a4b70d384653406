import { countsToRuns, runsToCounts } from "../core/rle";
import type { Rle, Size } from "../core/types";

/**
 * Masks between the image and the decoder's low resolution, with the numbers that torch gives.
 *
 * The encoder sees the image at `seen`, in the top left corner of a square whose side is 4 × `low`.
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

/** The pixels of the image whose logit is above 0, as RLE; null when there are none. */
export function thresholded(
  logits: Float32Array,
  low: number,
  seen: Size,
  size: Size,
): string | null {
  const { width, height } = size;
  const across = axis(low, seen.width, width);
  const down = axis(low, seen.height, height);
  const column = new Float64Array(low);
  const runs: number[] = [];
  let run = 0;
  let inside = false;
  for (let x = 0; x < width; x++) {
    const start = across.first[x]!;
    const [a, b, c] = across.weights.subarray(x * TAPS, x * TAPS + TAPS) as unknown as number[];
    for (let row = 0, at = start; row < low; row++, at += low) {
      column[row] = a! * logits[at]! + b! * logits[at + 1]! + c! * logits[at + 2]!;
    }
    for (let y = 0; y < height; y++) {
      const row = down.first[y]!;
      const p = column[row]!;
      const q = column[row + 1]!;
      const r = column[row + 2]!;
      let is = p > 0;
      // Between neighbours of one sign there is no other.
      if (q > 0 !== is || r > 0 !== is) {
        const at = y * TAPS;
        const { weights } = down;
        is = weights[at]! * p + weights[at + 1]! * q + weights[at + 2]! * r > 0;
      }
      if (is === inside) run++;
      else {
        runs.push(run);
        run = 1;
        inside = is;
      }
    }
  }
  runs.push(run);
  return runs.length > 1 ? runsToCounts(runs) : null;
}

/** Area averages at `seen` places, then of four of them, padded with 0; `sums` are running sums. */
function averages(
  sums: Float64Array,
  seen: number,
  low: number,
  write: (i: number, v: number) => void,
) {
  const size = sums.length - 1;
  for (let i = 0; i < low; i++) {
    let total = 0;
    for (let j = i * STEP; j < Math.min(seen, (i + 1) * STEP); j++) {
      const start = Math.floor((j * size) / seen);
      const end = Math.ceil(((j + 1) * size) / seen);
      total += (sums[end]! - sums[start]!) / (end - start);
    }
    write(i, total / STEP);
  }
}

/** A mask of the image as the decoder takes it: logits, low × low. */
export function lowResolution(mask: Rle, low: number, seen: Size): Float32Array {
  const [height, width] = mask.size;
  const columns = new Float64Array(low * (width + 1));
  const sums = new Float64Array(height + 1);
  const pixels = decoded(mask);
  for (let x = 0; x < width; x++) {
    for (let y = 0; y < height; y++) sums[y + 1] = sums[y]! + pixels[x * height + y]!;
    averages(sums, seen.height, low, (row, value) => {
      const at = row * (width + 1) + x;
      columns[at + 1] = columns[at]! + value;
    });
  }
  const logits = new Float32Array(low * low);
  for (let row = 0; row < low; row++) {
    const line = columns.subarray(row * (width + 1), (row + 1) * (width + 1));
    averages(line, seen.width, low, (column, value) => {
      logits[row * low + column] = (value - 0.5) * 2 * LOGIT;
    });
  }
  return logits;
}

/** Column by column, 1 inside. */
function decoded({ size: [height, width], counts }: Rle): Uint8Array {
  const pixels = new Uint8Array(width * height);
  let at = 0;
  countsToRuns(counts, { width, height }).forEach((run, index) => {
    if (index % 2) pixels.fill(1, at, at + run);
    at += run;
  });
  return pixels;
}

/** The smallest box around a mask, null around nothing. */
export function boxOf(mask: Rle): { x: number; y: number; width: number; height: number } | null {
  const [height, width] = mask.size;
  const pixels = decoded(mask);
  let [left, right, top, bottom] = [width, -1, height, -1];
  for (let x = 0; x < width; x++) {
    for (let y = 0; y < height; y++) {
      if (!pixels[x * height + y]) continue;
      left = Math.min(left, x);
      right = x;
      top = Math.min(top, y);
      bottom = Math.max(bottom, y);
    }
  }
  return right < 0 ? null : { x: left, y: top, width: right + 1 - left, height: bottom + 1 - top };
}
