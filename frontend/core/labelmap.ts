import { eachBitRun, FULL, TILE, type Tile, tileColumns, tileRect } from "./mask";
import type { Size } from "./types";

/**
 * The picture of all regions: row-major, 0 = nothing, else the slot of the front-most region. It is
 * drawn as a texture with a palette look-up, so colours and visibility cost nothing here.
 */
export class LabelMap {
  readonly data: Uint16Array;
  private readonly columns: number;

  constructor(readonly size: Size) {
    this.data = new Uint16Array(size.width * size.height);
    this.columns = tileColumns(size);
  }

  /** 0 outside of the image. Whole or float pixels. */
  at(x: number, y: number): number {
    const { width, height } = this.size;
    const [px, py] = [Math.floor(x), Math.floor(y)];
    return px < 0 || py < 0 || px >= width || py >= height ? 0 : this.data[py * width + px]!;
  }

  clearTile(index: number): void {
    const { x, y, width, height } = tileRect(index, this.size);
    for (let row = y; row < y + height; row++) {
      const start = row * this.size.width + x;
      this.data.fill(0, start, start + width);
    }
  }

  drawTile(index: number, tile: Tile, slot: number): void {
    const { data } = this;
    const { width } = this.size;
    const tx = index % this.columns;
    const origin = Math.floor(index / this.columns) * TILE * width + tx * TILE;
    if (tile === FULL) {
      for (let row = 0; row < TILE; row++) {
        data.fill(slot, origin + row * width, origin + row * width + TILE);
      }
      return;
    }
    // Tiles run down columns, the label map along rows: turned block by block, so that pixels are
    // written one after the other.
    for (let half = 0; half < 2; half++) {
      for (let left = 0; left < TILE; left += 32) {
        for (let x = 0; x < 32; x++) block[x] = tile[2 * (left + x) + half]!;
        transpose(block);
        for (let y = 0; y < 32; y++) {
          const start = origin + (half * 32 + y) * width + left;
          eachBitRun(block[y]!, (from, to) => {
            for (let x = start + from; x < start + to; x++) data[x] = slot;
          });
        }
      }
    }
  }
}

const block = new Uint32Array(32);

/** Swaps rows and columns of 32×32 bits, by halves, quarters, … (Warren, Hacker's Delight, 7-3). */
function transpose(bits: Uint32Array): void {
  let mask = 0x0000ffff;
  for (let step = 16; step > 0; step >>= 1) {
    for (let low = 0; low < 32; low = ((low | step) + 1) & ~step) {
      const high = low | step;
      const swap = ((bits[low]! >>> step) ^ bits[high]!) & mask;
      bits[high]! ^= swap;
      bits[low]! ^= swap << step;
    }
    mask ^= mask << (step >> 1);
  }
}
