export interface Tick {
  /** Image pixels. */
  readonly at: number;
  /** Null for a small one between two with a number. */
  readonly label: string | null;
}

/** Least distance of two numbers, CSS pixels. */
const APART = 64;

/** The marks of a ruler from `start` to `end` image pixels: numbers at 1, 2 or 5 × 10ⁿ, five steps each. */
export function ticks(start: number, end: number, scale: number): Tick[] {
  const least = Math.max(APART / scale, 1);
  const power = 10 ** Math.floor(Math.log10(least));
  const step = [1, 2, 5, 10].map((by) => by * power).find((one) => one >= least) ?? power * 10;
  const small = step < 5 ? 1 : step / 5;
  const found: Tick[] = [];
  for (let n = Math.ceil(start / small); n * small <= end; n++) {
    const at = n * small;
    found.push({ at, label: at % step === 0 ? String(at) : null });
  }
  return found;
}
