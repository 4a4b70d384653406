import type { Size } from "./types";

/**
 * COCO's run-length encoding: pixels column by column, runs of 0 and 1 in turn, starting with 0; the
 * lengths are written as a string of base-32 digits from "0" on, from the fourth run on as the
 * difference from the run two before (pycocotools, `rleToString`).
 */

export class RleError extends Error {}

/** Run lengths → compressed string. */
export function runsToCounts(runs: ArrayLike<number>): string {
  const bytes: number[] = [];
  for (let i = 0; i < runs.length; i++) {
    let value = i > 2 ? runs[i]! - runs[i - 2]! : runs[i]!;
    for (;;) {
      const digit = value & 31;
      value >>= 5;
      const more = digit & 16 ? value !== -1 : value !== 0;
      bytes.push((more ? digit | 32 : digit) + 48);
      if (!more) break;
    }
  }
  let text = "";
  for (let i = 0; i < bytes.length; i += 8192) {
    text += String.fromCharCode(...bytes.slice(i, i + 8192));
  }
  return text;
}

/** Compressed string → run lengths. Throws RleError unless they fill exactly that size. */
export function countsToRuns(counts: string, size: Size): number[] {
  const runs: number[] = [];
  const pixels = size.width * size.height;
  let total = 0;
  for (let at = 0; at < counts.length; ) {
    let value = 0;
    let shift = 0;
    for (let more = true; more; shift += 5) {
      const code = counts.charCodeAt(at++) - 48;
      if (!(code >= 0 && code < 64) || shift > 30) throw new RleError("The RLE string is broken.");
      value |= (code & 31) << shift;
      more = (code & 32) !== 0;
      if (!more && code & 16 && shift < 27) value |= -1 << (shift + 5);
    }
    if (runs.length > 2) value += runs[runs.length - 2]!;
    total += value;
    if (value < 0 || total > pixels) throw new RleError("The RLE has runs outside of the image.");
    runs.push(value);
  }
  if (total !== pixels) throw new RleError(`The RLE has ${total} pixels instead of ${pixels}.`);
  return runs;
}
