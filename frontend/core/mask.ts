import { EMPTY_RECT } from "./rect";
import { countsToRuns, runsToCounts } from "./rle";
import type { Rect, Size } from "./types";

/** Pixels on a side of a tile. */
export const TILE = 64;
const WORDS = (TILE * TILE) / 32;

/**
 * 64×64 pixels, one bit each, column by column as in COCO's RLE: word `2 * x + (y >> 5)`, bit
 * `y & 31`. Bits outside of the image are 0. A tile that is part of a finished mask never changes,
 * so masks and history patches share tiles.
 */
export type Tile = Uint32Array;

export const FULL: Tile = new Uint32Array(WORDS).fill(0xffffffff);

/** One tile of a mask before and after; undefined has no pixels. */
export interface TileEdit {
  readonly index: number;
  readonly before: Tile | undefined;
  readonly after: Tile | undefined;
}

/** Tiles in two flat arrays, for sending to a worker. Negative indices (~index) are full tiles. */
export interface PackedMask {
  readonly size: Size;
  readonly indices: Int32Array;
  readonly words: Uint32Array;
}

/**
 * A sparse bit mask of the image's size. Only a MaskWriter changes one; set operations make new
 * ones that share tiles.
 */
export class Mask {
  readonly columns: number;
  private held: Map<number, Tile> | PackedMask | (() => Mask);

  constructor(
    readonly size: Size,
    tiles: Map<number, Tile> = new Map(),
  ) {
    this.columns = tileColumns(size);
    this.held = tiles;
  }

  /** By index = row of tiles * columns + column of tiles. */
  get tiles(): Map<number, Tile> {
    const { held } = this;
    if (held instanceof Map) return held;
    const tiles = typeof held === "function" ? held().tiles : unpacked(held);
    this.held = tiles;
    return tiles;
  }

  /** One whose pixels are made when they are asked for. */
  static later(size: Size, make: () => Mask): Mask {
    const mask = new Mask(size);
    mask.held = make;
    return mask;
  }

  make(): void {
    void this.tiles;
  }

  /** False for one of `later` that nobody has asked for its pixels, so nobody has changed them. */
  get isMade(): boolean {
    return typeof this.held !== "function";
  }

  /** Throws RleError. */
  static fromCounts(size: Size, counts: string): Mask {
    const writer = new MaskWriter(new Mask(size));
    let at = 0;
    countsToRuns(counts, size).forEach((run, i) => {
      if (i & 1) writer.setRange(at, at + run);
      at += run;
    });
    writer.finish();
    return writer.mask;
  }

  /** `pixels`: row-major over `rect`, set where not 0. */
  static fromBitmap(size: Size, rect: Rect, pixels: ArrayLike<number>): Mask {
    const writer = new MaskWriter(new Mask(size));
    for (let x = 0; x < rect.width; x++) {
      for (let y = 0; y < rect.height; ) {
        if (!pixels[y * rect.width + x]) {
          y++;
          continue;
        }
        const start = y;
        while (y < rect.height && pixels[y * rect.width + x]) y++;
        writer.set(rect.x + x, rect.y + start, rect.y + y);
      }
    }
    writer.finish();
    return writer.mask;
  }

  /** Costs nothing until its pixels are asked for; they share the memory of `packed`. */
  static unpack(packed: PackedMask): Mask {
    const mask = new Mask(packed.size);
    mask.held = packed;
    return mask;
  }

  pack(): PackedMask {
    const indices = new Int32Array(this.tiles.size);
    const partial = [...this.tiles.values()].filter((tile) => tile !== FULL).length;
    const words = new Uint32Array(partial * WORDS);
    let i = 0;
    let at = 0;
    for (const [index, tile] of this.tiles) {
      indices[i++] = tile === FULL ? ~index : index;
      if (tile !== FULL) words.set(tile, at++ * WORDS);
    }
    return { size: this.size, indices, words };
  }

  get isEmpty(): boolean {
    return this.tiles.size === 0;
  }

  has(x: number, y: number): boolean {
    if (x < 0 || y < 0 || x >= this.size.width || y >= this.size.height) return false;
    const tile = this.tiles.get((y >> 6) * this.columns + (x >> 6));
    return tile !== undefined && ((tile[((x & 63) << 1) | ((y >> 5) & 1)]! >>> (y & 31)) & 1) === 1;
  }

  /** Pixels. */
  area(): number {
    let sum = 0;
    for (const tile of this.tiles.values()) sum += tileArea(tile);
    return sum;
  }

  bbox(): Rect {
    if (this.isEmpty) return EMPTY_RECT;
    let [left, top, right, bottom] = [Infinity, Infinity, -1, -1];
    for (const index of this.tiles.keys()) {
      const tx = index % this.columns;
      const ty = (index - tx) / this.columns;
      left = Math.min(left, tx);
      right = Math.max(right, tx);
      top = Math.min(top, ty);
      bottom = Math.max(bottom, ty);
    }
    let [x0, y0, x1, y1] = [Infinity, Infinity, -1, -1];
    for (const [index, tile] of this.tiles) {
      const tx = index % this.columns;
      const ty = (index - tx) / this.columns;
      if (tx !== left && tx !== right && ty !== top && ty !== bottom) continue;
      const inside = tileBounds(tile);
      x0 = Math.min(x0, tx * TILE + inside.x);
      y0 = Math.min(y0, ty * TILE + inside.y);
      x1 = Math.max(x1, tx * TILE + inside.x + inside.width);
      y1 = Math.max(y1, ty * TILE + inside.y + inside.height);
    }
    return { x: x0, y: y0, width: x1 - x0, height: y1 - y0 };
  }

  /** Every vertical run of set pixels; long ones come in pieces that end at tile borders. */
  forEachRun(visit: (x: number, y0: number, y1: number) => void): void {
    for (const [index, tile] of this.tiles) {
      const tx = index % this.columns;
      const x0 = tx * TILE;
      const y0 = ((index - tx) / this.columns) * TILE;
      for (let w = 0; w < WORDS; w++) {
        eachBitRun(tile[w]!, (from, to) => {
          const y = y0 + (w & 1) * 32;
          visit(x0 + (w >> 1), y + from, y + to);
        });
      }
    }
  }

  /** COCO run lengths. */
  runs(): number[] {
    const { width, height } = this.size;
    const turns: number[] = [];
    const turn = (at: number) => {
      if (turns[turns.length - 1] === at) turns.pop();
      else turns.push(at);
    };
    for (const [tx, stack] of this.stacks()) {
      const end = Math.min(width, (tx + 1) * TILE);
      for (let x = tx * TILE; x < end; x++) {
        let last = 0;
        let next = 0;
        for (const { top, tile } of stack) {
          if (last && top !== next) {
            turn(x * height + next);
            last = 0;
          }
          next = top + TILE;
          if (tile === FULL) {
            if (!last) turn(x * height + top);
            last = 1;
            continue;
          }
          for (let half = 0; half < 2; half++) {
            const word = tile[((x & 63) << 1) | half]!;
            const base = x * height + top + half * 32;
            for (let changes = word ^ ((word << 1) | last); changes; changes &= changes - 1) {
              turn(base + lowestBit(changes));
            }
            last = word >>> 31;
          }
        }
        if (last) turn(x * height + Math.min(next, height));
      }
    }
    const runs: number[] = [];
    let at = 0;
    for (const next of turns) {
      runs.push(next - at);
      at = next;
    }
    if (at < width * height) runs.push(width * height - at);
    return runs;
  }

  /** Tiles by column of tiles, from left to right, each from top to bottom. */
  private stacks(): [number, { top: number; tile: Tile }[]][] {
    const stacks = new Map<number, { top: number; tile: Tile }[]>();
    for (const [index, tile] of this.tiles) {
      const tx = index % this.columns;
      const top = ((index - tx) / this.columns) * TILE;
      const stack = stacks.get(tx);
      if (stack) stack.push({ top, tile });
      else stacks.set(tx, [{ top, tile }]);
    }
    for (const stack of stacks.values()) stack.sort((a, b) => a.top - b.top);
    return [...stacks].sort(([a], [b]) => a - b);
  }

  counts(): string {
    return runsToCounts(this.runs());
  }

  /** Row-major bytes over `rect`, 1 where set. */
  bitmap(rect: Rect): Uint8Array {
    const pixels = new Uint8Array(rect.width * rect.height);
    const right = rect.x + rect.width;
    const bottom = rect.y + rect.height;
    this.forEachRun((x, y0, y1) => {
      if (x < rect.x || x >= right) return;
      const end = Math.min(y1, bottom);
      for (let y = Math.max(y0, rect.y); y < end; y++) {
        pixels[(y - rect.y) * rect.width + x - rect.x] = 1;
      }
    });
    return pixels;
  }

  union(other: Mask): Mask {
    return this.combine(other, (a, b) => a | b, true, true);
  }

  intersect(other: Mask): Mask {
    return this.combine(other, (a, b) => a & b, false, false);
  }

  subtract(other: Mask): Mask {
    return this.combine(other, (a, b) => a & ~b, true, false);
  }

  equals(other: Mask): boolean {
    if (this.tiles.size !== other.tiles.size) return false;
    for (const [index, tile] of this.tiles) {
      const theirs = other.tiles.get(index);
      if (!theirs || !sameTile(tile, theirs)) return false;
    }
    return true;
  }

  /** Moved by whole pixels; what leaves the image is cut off. */
  shift(dx: number, dy: number): Mask {
    const writer = new MaskWriter(new Mask(this.size));
    const { width, height } = this.size;
    this.forEachRun((x, y0, y1) => {
      const [from, to] = [Math.max(0, y0 + dy), Math.min(height, y1 + dy)];
      if (x + dx >= 0 && x + dx < width && from < to) writer.set(x + dx, from, to);
    });
    writer.finish();
    return writer.mask;
  }

  private combine(
    other: Mask,
    each: (a: number, b: number) => number,
    keepMine: boolean,
    keepTheirs: boolean,
  ): Mask {
    const tiles = new Map<number, Tile>();
    for (const [index, mine] of this.tiles) {
      const theirs = other.tiles.get(index);
      if (!theirs) {
        if (keepMine) tiles.set(index, mine);
        continue;
      }
      const tile = new Uint32Array(WORDS);
      for (let w = 0; w < WORDS; w++) tile[w] = each(mine[w]!, theirs[w]!);
      const finished = normalized(tile);
      if (finished) tiles.set(index, finished);
    }
    if (keepTheirs) {
      for (const [index, theirs] of other.tiles) {
        if (!this.tiles.has(index)) tiles.set(index, theirs);
      }
    }
    return new Mask(this.size, tiles);
  }
}

/** Changes a mask, copying each tile before its first change, and knows how to take it back. */
export class MaskWriter {
  private readonly before = new Map<number, Tile | undefined>();
  /** Tiles that nobody else holds. */
  private readonly own = new Set<number>();
  private lastIndex = -1;
  private last: Tile | undefined;

  constructor(readonly mask: Mask) {}

  /** Sets (x, y0…y1−1). The run must lie inside the image. */
  set(x: number, y0: number, y1: number): void {
    const w = (x & 63) << 1;
    for (let y = y0; y < y1; ) {
      const end = Math.min(y1, (y | 63) + 1);
      const tile = this.open((y >> 6) * this.mask.columns + (x >> 6));
      const from = y & 63;
      const to = from + end - y;
      if (from < 32) tile[w] = tile[w]! | ones(from, Math.min(to, 32));
      if (to > 32) tile[w + 1] = tile[w + 1]! | ones(Math.max(from - 32, 0), to - 32);
      y = end;
    }
  }

  clear(x: number, y0: number, y1: number): void {
    const w = (x & 63) << 1;
    for (let y = y0; y < y1; ) {
      const end = Math.min(y1, (y | 63) + 1);
      const index = (y >> 6) * this.mask.columns + (x >> 6);
      if (this.mask.tiles.has(index)) {
        const tile = this.open(index);
        const from = y & 63;
        const to = from + end - y;
        if (from < 32) tile[w] = tile[w]! & ~ones(from, Math.min(to, 32));
        if (to > 32) tile[w + 1] = tile[w + 1]! & ~ones(Math.max(from - 32, 0), to - 32);
      }
      y = end;
    }
  }

  /** Sets pixels from…to−1, counted column by column. */
  setRange(from: number, to: number): void {
    const { height } = this.mask.size;
    for (let at = from; at < to; ) {
      const x = Math.floor(at / height);
      const y = at - x * height;
      const end = Math.min(height, y + to - at);
      this.set(x, y, end);
      at += end - y;
    }
  }

  /** Sets every pixel of `other`. */
  add(other: Mask): void {
    for (const [index, theirs] of other.tiles) {
      if (!this.mask.tiles.has(index)) {
        if (!this.before.has(index)) this.before.set(index, undefined);
        this.mask.tiles.set(index, theirs);
        continue;
      }
      const tile = this.open(index);
      for (let w = 0; w < WORDS; w++) tile[w] = tile[w]! | theirs[w]!;
    }
  }

  /** Sets or clears all of a tile, which must not reach over the image's edge. */
  setTile(index: number, on: boolean): void {
    if (!this.before.has(index)) this.before.set(index, this.mask.tiles.get(index));
    this.own.delete(index);
    if (index === this.lastIndex) this.lastIndex = -1;
    if (on) this.mask.tiles.set(index, FULL);
    else this.mask.tiles.delete(index);
  }

  /** Clears every pixel of `other`; returns the indices of the tiles it touched. */
  subtract(other: Mask): number[] {
    const touched: number[] = [];
    for (const [index, theirs] of other.tiles) {
      if (!this.mask.tiles.has(index)) continue;
      const tile = this.open(index);
      for (let w = 0; w < WORDS; w++) tile[w] = tile[w]! & ~theirs[w]!;
      touched.push(index);
    }
    return touched;
  }

  /** The mask as it is now; what is written later does not change it. */
  snapshot(): Mask {
    for (const index of this.own) this.settle(index);
    this.own.clear();
    this.lastIndex = -1;
    return new Mask(this.mask.size, new Map(this.mask.tiles));
  }

  /** Drops empty tiles, shares full ones, and returns what changed. The writer is used up. */
  finish(): TileEdit[] {
    const edits: TileEdit[] = [];
    for (const [index, before] of this.before) {
      const after = this.settle(index);
      if (before !== after) edits.push({ index, before, after });
    }
    return edits;
  }

  /** Takes all back; returns the indices of the tiles it had touched. */
  revert(): number[] {
    for (const [index, before] of this.before) {
      if (before) this.mask.tiles.set(index, before);
      else this.mask.tiles.delete(index);
    }
    return [...this.before.keys()];
  }

  private settle(index: number): Tile | undefined {
    const before = this.before.get(index);
    let after = normalized(this.mask.tiles.get(index));
    if (before && after && sameTile(before, after)) after = before;
    if (after) this.mask.tiles.set(index, after);
    else this.mask.tiles.delete(index);
    return after;
  }

  private open(index: number): Tile {
    if (index === this.lastIndex) return this.last!;
    let tile = this.mask.tiles.get(index);
    if (!this.own.has(index)) {
      this.own.add(index);
      if (!this.before.has(index)) this.before.set(index, tile);
      tile = tile ? tile.slice() : new Uint32Array(WORDS);
      this.mask.tiles.set(index, tile);
    }
    this.lastIndex = index;
    this.last = tile;
    return tile!;
  }
}

export function tileColumns(size: Size): number {
  return Math.ceil(size.width / TILE);
}

export function tileRect(index: number, size: Size): Rect {
  const columns = tileColumns(size);
  const x = (index % columns) * TILE;
  const y = Math.floor(index / columns) * TILE;
  return {
    x,
    y,
    width: Math.min(TILE, size.width - x),
    height: Math.min(TILE, size.height - y),
  };
}

export function tileArea(tile: Tile | undefined): number {
  if (!tile) return 0;
  if (tile === FULL) return TILE * TILE;
  let sum = 0;
  for (let w = 0; w < WORDS; w++) {
    let bits = tile[w]!;
    bits -= (bits >>> 1) & 0x55555555;
    bits = (bits & 0x33333333) + ((bits >>> 2) & 0x33333333);
    sum += Math.imul((bits + (bits >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
  }
  return sum;
}

/** Calls with every run of ones in a word. */
export function eachBitRun(word: number, visit: (from: number, to: number) => void): void {
  let rest = word >>> 0;
  while (rest) {
    const from = lowestBit(rest);
    const gap = ~(rest >>> from);
    const to = gap === 0 ? 32 : Math.min(32, from + lowestBit(gap));
    visit(from, to);
    rest = to === 32 ? 0 : (rest & (-1 << to)) >>> 0;
  }
}

function lowestBit(word: number): number {
  return 31 - Math.clz32(word & -word);
}

/** Bits from…to−1, 0 ≤ from < to ≤ 32. */
function ones(from: number, to: number): number {
  return (0xffffffff >>> (32 - (to - from))) << from;
}

function tileBounds(tile: Tile): Rect {
  let [left, right, low, high] = [TILE, -1, 0, 0];
  for (let x = 0; x < TILE; x++) {
    const a = tile[2 * x]!;
    const b = tile[2 * x + 1]!;
    if (!a && !b) continue;
    left = Math.min(left, x);
    right = x;
    low |= a;
    high |= b;
  }
  const y = low ? lowestBit(low) : 32 + lowestBit(high);
  const end = high ? 64 - Math.clz32(high) : 32 - Math.clz32(low);
  return { x: left, y, width: right + 1 - left, height: end - y };
}

function sameTile(a: Tile, b: Tile): boolean {
  if (a === b) return true;
  for (let w = 0; w < WORDS; w++) if (a[w] !== b[w]) return false;
  return true;
}

function unpacked({ indices, words }: PackedMask): Map<number, Tile> {
  const tiles = new Map<number, Tile>();
  let at = 0;
  for (const index of indices) {
    if (index < 0) tiles.set(~index, FULL);
    else tiles.set(index, words.subarray(at++ * WORDS, at * WORDS));
  }
  return tiles;
}

/** Undefined for an empty tile, the shared one for a full tile. */
function normalized(tile: Tile | undefined): Tile | undefined {
  if (!tile || tile === FULL) return tile;
  let all = 0xffffffff;
  let any = 0;
  for (let w = 0; w < WORDS; w++) {
    all &= tile[w]!;
    any |= tile[w]!;
  }
  return all === -1 ? FULL : any ? tile : undefined;
}
