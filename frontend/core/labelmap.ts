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
    for (let w = 0; w < tile.length; w++) {
      const start = origin + (w & 1) * 32 * width + (w >> 1);
      eachBitRun(tile[w]!, (from, to) => {
        for (let bit = from; bit < to; bit++) data[start + bit * width] = slot;
      });
    }
  }
}
