import { FULL, TILE, type Tile, tileColumns } from "./mask";
import type { Spans } from "./spans";
import type { Rect, Size } from "./types";

const PIXELS = TILE * TILE;
/** A tile is one texel then. */
export const MAX_LEVEL = 6;

/** Tiles that get their memory together. */
const SLAB = 16;

/** A label map in few buffers, for sending from a worker. */
export interface PackedLabels {
  readonly size: Size;
  readonly plain: Uint16Array;
  /** Of tiles with more than one label: index, number of the slab, place in the slab. */
  readonly tiles: Int32Array;
  readonly slabs: readonly ArrayBuffer[];
}

/**
 * The picture of all regions: at each pixel 0 = nothing, else the slot of the front-most region.
 * Kept as the tiles of masks (`mask.ts`) are, with the same indices: 64×64 pixels, column by column,
 * and nothing but its label for a tile that has only one, so memory follows the borders of regions
 * and not the size of the image.
 */
export class LabelMap {
  readonly columns: number;
  /** The label of tiles that have only one. */
  private readonly plain: Uint16Array;
  /** The others: pixel (x, y) of the tile is at 64 x + y. */
  private readonly tiles: (Uint16Array | null)[];
  /** Memory for the next tiles. */
  private slab: Uint16Array | null = null;
  private used = 0;

  constructor(readonly size: Size) {
    this.columns = tileColumns(size);
    const count = this.columns * Math.ceil(size.height / TILE);
    this.plain = new Uint16Array(count);
    this.tiles = new Array<Uint16Array | null>(count).fill(null);
  }

  /** The tiles share the memory of `packed`. */
  static unpack({ size, plain, tiles, slabs }: PackedLabels): LabelMap {
    const labels = new LabelMap(size);
    labels.plain.set(plain);
    for (let i = 0; i < tiles.length; i += 3) {
      const [slab, place] = [slabs[tiles[i + 1]!]!, tiles[i + 2]!];
      labels.tiles[tiles[i]!] = new Uint16Array(slab, place * 2 * PIXELS, PIXELS);
    }
    return labels;
  }

  /** Shares the memory of this one. */
  pack(): PackedLabels {
    const slabs = new Map<ArrayBuffer, number>();
    const tiles: number[] = [];
    this.tiles.forEach((tile, index) => {
      if (!tile) return;
      const slab = tile.buffer as ArrayBuffer;
      if (!slabs.has(slab)) slabs.set(slab, slabs.size);
      tiles.push(index, slabs.get(slab)!, tile.byteOffset / (2 * PIXELS));
    });
    const { size, plain } = this;
    return { size, plain, tiles: Int32Array.from(tiles), slabs: [...slabs.keys()] };
  }

  /** 0 outside of the image. Whole or float pixels. */
  at(x: number, y: number): number {
    const { width, height } = this.size;
    const [px, py] = [Math.floor(x), Math.floor(y)];
    return px < 0 || py < 0 || px >= width || py >= height ? 0 : this.get(px, py);
  }

  /** Of a whole pixel inside of the image. */
  get(x: number, y: number): number {
    const index = (y >> 6) * this.columns + (x >> 6);
    const tile = this.tiles[index];
    return tile ? tile[((x & 63) << 6) | (y & 63)]! : this.plain[index]!;
  }

  /** The label of all of a tile; null where it has more than one. */
  plainAt(index: number): number | null {
    return this.tiles[index] ? null : this.plain[index]!;
  }

  /** The first row after y, at most `end`, with another label than (x, y) has. */
  runEnd(x: number, y: number, end: number): number {
    const label = this.get(x, y);
    const base = (x & 63) << 6;
    for (let at = y; at < end; ) {
      const index = (at >> 6) * this.columns + (x >> 6);
      const stop = Math.min(end, (at | 63) + 1);
      const tile = this.tiles[index];
      if (!tile) {
        if (this.plain[index] !== label) return at;
        at = stop;
        continue;
      }
      for (; at < stop; at++) if (tile[base | (at & 63)] !== label) return at;
    }
    return end;
  }

  /** Sets (x, y0…y1−1), inside of the image. */
  fill(x: number, y0: number, y1: number, slot: number): void {
    const base = (x & 63) << 6;
    for (let y = y0; y < y1; ) {
      const index = (y >> 6) * this.columns + (x >> 6);
      const stop = Math.min(y1, (y | 63) + 1);
      const start = base | (y & 63);
      if (this.tiles[index] || this.plain[index] !== slot) {
        this.open(index).fill(slot, start, start + stop - y);
      }
      y = stop;
    }
  }

  clearTile(index: number): void {
    this.fillTile(index, 0);
  }

  private fillTile(index: number, slot: number): void {
    this.tiles[index] = null;
    this.plain[index] = slot;
  }

  drawTile(index: number, tile: Tile, slot: number): void {
    if (tile === FULL) {
      this.fillTile(index, slot);
      return;
    }
    const mine = this.open(index);
    for (let w = 0; w < tile.length; w++) {
      const word = tile[w]!;
      if (word === 0) continue;
      const base = w << 5;
      if (word === 0xffffffff) mine.fill(slot, base, base + 32);
      else for (let y = 0; y < 32; y++) if ((word >>> y) & 1) mine[base + y] = slot;
    }
  }

  /** `spans` column after column; those of a column apart. */
  drawSpans({ data, length }: Spans, slot: number): void {
    const { width, height } = this.size;
    const covered = new Uint8Array(Math.ceil(height / TILE));
    for (let i = 0; i < length * 3; ) {
      const start = i;
      const column = data[i]! >> 6;
      const columns = Math.min(TILE, width - column * TILE);
      // How many columns of each tile are covered from end to end.
      covered.fill(0);
      for (; i < length * 3 && data[i]! >> 6 === column; i += 3) {
        const bottom = data[i + 2]!;
        const end = bottom === height ? covered.length : bottom >> 6;
        for (let row = (data[i + 1]! + 63) >> 6; row < end; row++) covered[row]!++;
      }
      for (let row = 0; row < covered.length; row++) {
        if (covered[row] === columns) this.fillTile(row * this.columns + column, slot);
      }
      for (let j = start; j < i; j += 3) this.fill(data[j]!, data[j + 1]!, data[j + 2]!, slot);
    }
  }

  /**
   * Labels at every 2^level-th pixel: texel (x, y) is the pixel in the middle of the 2^level ×
   * 2^level pixels that begin at (x, y) · 2^level, or the last one of the image. `window` in texels, with its start inside of the
   * image; written to `out` column by column. False when all are 0.
   */
  sample(level: number, window: Rect, out: Uint16Array): boolean {
    const { width, height, x: left, y: top } = window;
    const per = TILE >> level;
    const middle = (1 << level) >> 1;
    const rows = Math.ceil(this.size.height / TILE);
    let any = false;
    for (let x = left; x < left + width; ) {
      const tx = Math.floor(x / per);
      const right = Math.min(left + width, (tx + 1) * per);
      for (let y = top; y < top + height; ) {
        const ty = Math.floor(y / per);
        const bottom = Math.min(top + height, (ty + 1) * per);
        const index = ty * this.columns + tx;
        const inside = tx < this.columns && ty < rows;
        const tile = inside ? this.tiles[index] : null;
        const label = inside ? this.plain[index]! : 0;
        any ||= tile !== null || label !== 0;
        const lastColumn = Math.min(TILE, this.size.width - tx * TILE) - 1;
        const lastRow = Math.min(TILE, this.size.height - ty * TILE) - 1;
        for (let column = x; column < right; column++) {
          const at = (column - left) * height - top;
          if (!tile) {
            out.fill(label, at + y, at + bottom);
            continue;
          }
          const base = Math.min(((column - tx * per) << level) + middle, lastColumn) << 6;
          for (let row = y; row < bottom; row++) {
            const inTile = ((row - ty * per) << level) + middle;
            out[at + row] = tile[base | (inTile > lastRow ? lastRow : inTile)]!;
          }
        }
        y = bottom;
      }
      x = right;
    }
    return any;
  }

  /** The first pixel with that label in reading order, from (x, y) on; null when there is none. */
  find(slot: number, x: number, y: number): { x: number; y: number } | null {
    const { width, height } = this.size;
    for (let row = y, from = x; row < height; row++, from = 0) {
      for (let column = from; column < width; ) {
        const index = (row >> 6) * this.columns + (column >> 6);
        const stop = Math.min(width, (column | 63) + 1);
        if (!this.tiles[index]) {
          if (this.plain[index] === slot) return { x: column, y: row };
          column = stop;
          continue;
        }
        for (; column < stop; column++) {
          if (this.get(column, row) === slot) return { x: column, y: row };
        }
      }
    }
    return null;
  }

  private open(index: number): Uint16Array {
    let tile = this.tiles[index];
    if (!tile) {
      if (!this.slab || this.used === SLAB) {
        this.slab = new Uint16Array(SLAB * PIXELS);
        this.used = 0;
      }
      tile = this.slab.subarray(this.used * PIXELS, (this.used + 1) * PIXELS);
      this.used++;
      if (this.plain[index]) tile.fill(this.plain[index]!);
      this.tiles[index] = tile;
    }
    return tile;
  }
}
