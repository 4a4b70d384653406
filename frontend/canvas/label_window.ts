import { type LabelMap, MAX_LEVEL } from "../core/labelmap";
import { intersects, unionRect } from "../core/rect";
import type { Rect, Size } from "../core/types";
import type { Camera } from "./viewport";

/** Side of a cell, texels. */
export const CELL = 256;

/** So far beyond the screen, device pixels, outlines look for another label. */
const REACH = 8;

/** The coarsest level of the label map that has a texel for each device pixel. */
export function labelLevel(scale: number): number {
  return Math.min(MAX_LEVEL, Math.max(0, Math.floor(Math.log2(1 / scale) + 1e-6)));
}

/** Puts texels into the texture: `texels` column by column, at `x`, `y` of the texture. */
export type Upload = (x: number, y: number, size: Size, texels: Uint16Array) => void;

/**
 * The part of a label map, at one level, that a texture holds: a ring of cells around what is on the
 * screen, so that moving the picture uploads only what comes in, and its memory follows the screen
 * and not the image. Cell (column, row) of the image is at (column mod columns, row mod rows).
 */
export class LabelWindow {
  readonly columns: number;
  readonly rows: number;
  /** By place in the ring: the cell that is there, −1 for none. */
  private readonly there: Int32Array;
  /** By place in the ring: 1 where the cell has a label. */
  private readonly labeled: Uint8Array;
  /** By place in the ring: 1 where the texture has zeros only. */
  private readonly zero: Uint8Array;
  /** By place in the ring: what of its cell is to be uploaded again, texels of the level. */
  private readonly dirty = new Map<number, Rect>();
  private readonly extent: Size;

  /** `screen` in device pixels. */
  constructor(
    private readonly labels: LabelMap,
    readonly level: number,
    screen: Size,
  ) {
    const texels = (length: number) => Math.ceil(length / 2 ** level);
    this.extent = { width: texels(labels.size.width), height: texels(labels.size.height) };
    // A texel is more than half a device pixel, but for the last level.
    const cells = (length: number, all: number) =>
      Math.min(Math.ceil((2 * (length + 2 * REACH)) / CELL) + 1, Math.ceil(all / CELL));
    this.columns = cells(screen.width, this.extent.width);
    this.rows = cells(screen.height, this.extent.height);
    this.there = new Int32Array(this.columns * this.rows).fill(-1);
    this.labeled = new Uint8Array(this.columns * this.rows);
    this.zero = new Uint8Array(this.columns * this.rows).fill(1);
  }

  /** Texels of the texture. */
  get size(): Size {
    return { width: this.columns * CELL, height: this.rows * CELL };
  }

  /** `rect` in image pixels. */
  changed(rect: Rect): void {
    const { level } = this;
    const x = rect.x >> level;
    const y = rect.y >> level;
    const texels = {
      x,
      y,
      width: ((rect.x + rect.width - 1) >> level) + 1 - x,
      height: ((rect.y + rect.height - 1) >> level) + 1 - y,
    };
    for (let place = 0; place < this.there.length; place++) {
      if (this.there[place] === -1) continue;
      const cell = this.cell(this.there[place]!);
      if (!intersects(cell, texels)) continue;
      const left = Math.max(cell.x, texels.x);
      const top = Math.max(cell.y, texels.y);
      const part = {
        x: left,
        y: top,
        width: Math.min(cell.x + cell.width, texels.x + texels.width) - left,
        height: Math.min(cell.y + cell.height, texels.y + texels.height) - top,
      };
      this.dirty.set(place, unionRect(this.dirty.get(place) ?? null, part)!);
    }
  }

  /**
   * Uploads what is on the screen and not in the texture, changes first; stops when `late` says so.
   * True when all is there. `scale` and `screen` of device pixels.
   */
  update(camera: Camera, screen: Size, upload: Upload, late: () => boolean): boolean {
    const missing: [place: number, id: number][] = [];
    for (const [place, id] of this.visible(camera, screen)) {
      if (this.there[place] !== id) {
        missing.push([place, id]);
        continue;
      }
      const part = this.dirty.get(place);
      if (part && this.send(place, part, upload)) this.labeled[place] = 1;
      this.dirty.delete(place);
    }
    for (const [place, id] of missing) {
      if (late()) return false;
      this.dirty.delete(place);
      this.there[place] = id;
      this.labeled[place] = this.send(place, this.cell(id), upload) ? 1 : 0;
    }
    return true;
  }

  /** The texel at the start of the ring, at or before the first one on the screen. */
  origin(camera: Camera): { x: number; y: number } {
    const start = (offset: number, cells: number) => {
      const ring = cells * CELL;
      const first = Math.max(0, Math.floor((-offset - REACH) / camera.scale / 2 ** this.level));
      return Math.floor(first / ring) * ring;
    };
    return { x: start(camera.x, this.columns), y: start(camera.y, this.rows) };
  }

  /** Image pixels of what is there and has labels, in a few rectangles. */
  parts(camera: Camera, screen: Size): Rect[] {
    const parts: Rect[] = [];
    const side = CELL * 2 ** this.level;
    for (const [place, id] of this.visible(camera, screen)) {
      if (this.there[place] !== id || !this.labeled[place]) continue;
      const { x, y } = this.cell(id);
      const rect = { x: x << this.level, y: y << this.level, width: side, height: side };
      const last = parts.at(-1);
      if (last?.y === rect.y && last.x + last.width === rect.x) {
        parts[parts.length - 1] = { ...last, width: last.width + side };
      } else parts.push(rect);
    }
    return parts;
  }

  /** Cells on the screen, row after row: their place and number. */
  private *visible(camera: Camera, screen: Size): Generator<[number, number]> {
    const side = CELL * 2 ** this.level;
    const range = (offset: number, length: number, extent: number) => [
      Math.max(0, Math.floor((-offset - REACH) / camera.scale / side)),
      Math.min(
        Math.ceil(extent / CELL),
        Math.ceil((length + REACH - offset) / camera.scale / side),
      ),
    ];
    const [left, right] = range(camera.x, screen.width, this.extent.width);
    const [top, bottom] = range(camera.y, screen.height, this.extent.height);
    const across = Math.ceil(this.extent.width / CELL);
    for (let row = top!; row < bottom!; row++) {
      for (let column = left!; column < right!; column++) {
        const place = (row % this.rows) * this.columns + (column % this.columns);
        yield [place, row * across + column];
      }
    }
  }

  /** What a cell covers, texels of the level. */
  private cell(id: number): Rect {
    const across = Math.ceil(this.extent.width / CELL);
    const x = (id % across) * CELL;
    const y = Math.floor(id / across) * CELL;
    const { width, height } = this.extent;
    return { x, y, width: Math.min(CELL, width - x), height: Math.min(CELL, height - y) };
  }

  /** Returns whether there is a label among the texels. */
  private send(place: number, part: Rect, upload: Upload): boolean {
    const texels = scratch.subarray(0, part.width * part.height);
    const any = this.labels.sample(this.level, part, texels);
    if (!any && this.zero[place]) return false;
    this.zero[place] = !any && texels.length === CELL * CELL ? 1 : 0;
    const x = (place % this.columns) * CELL + (part.x % CELL);
    const y = Math.floor(place / this.columns) * CELL + (part.y % CELL);
    upload(x, y, part, texels);
    return any;
  }
}

const scratch = new Uint16Array(CELL * CELL);
