import type { Rect, Size } from "../core/types";
import type { Camera } from "./viewport";

/** Side of a tile, pixels. */
export const TILE = 512;
/** Decoded tiles that are kept, about 1 MB each. */
const KEPT = 192;
const LOADS_AT_ONCE = 6;

/** Column and row of a tile in a level. Level 0 is the whole image in one tile. */
export interface TileIndex {
  readonly level: number;
  readonly x: number;
  readonly y: number;
}

export type LoadTile = (tile: TileIndex) => Promise<ImageBitmap>;

/**
 * The tiles of an image that is too large to be one bitmap. What is asked for is loaded, the newest
 * wish first; what was not looked at for long is dropped.
 */
export class Pyramid {
  /** Called when a tile arrived. */
  onLoad: () => void = () => undefined;
  private readonly loaded = new Map<string, ImageBitmap>();
  private readonly loading = new Set<string>();
  private readonly failed = new Set<string>();
  private wanted: TileIndex[] = [];
  private closed = false;

  constructor(
    readonly size: Size,
    readonly levels: number,
    private readonly load: LoadTile,
  ) {}

  /** The coarsest level that is sharp at `scale` device pixels per image pixel. */
  levelFor(scale: number): number {
    const coarser = Math.max(0, Math.floor(Math.log2(1 / scale) + 1e-6));
    return Math.max(0, this.levels - 1 - coarser);
  }

  /** The tiles of a level that touch a window of the image, row after row. */
  cover(window: Rect, level: number): TileIndex[] {
    const side = this.side(level);
    const right = Math.min(window.x + window.width, this.size.width);
    const bottom = Math.min(window.y + window.height, this.size.height);
    const tiles: TileIndex[] = [];
    for (let y = Math.floor(Math.max(0, window.y) / side); y * side < bottom; y += 1) {
      for (let x = Math.floor(Math.max(0, window.x) / side); x * side < right; x += 1) {
        tiles.push({ level, x, y });
      }
    }
    return tiles;
  }

  /** What a tile shows, image pixels. */
  rect({ level, x, y }: TileIndex): Rect {
    const side = this.side(level);
    return {
      x: x * side,
      y: y * side,
      width: Math.min(side, this.size.width - x * side),
      height: Math.min(side, this.size.height - y * side),
    };
  }

  /** Null while it is not there; `want` says whether it is to be loaded then. */
  get(tile: TileIndex, want = true): ImageBitmap | null {
    const key = keyOf(tile);
    const found = this.loaded.get(key);
    if (found) {
      this.loaded.delete(key);
      this.loaded.set(key, found);
      return found;
    }
    if (want && !this.loading.has(key) && !this.failed.has(key)) {
      this.wanted.push(tile);
      queueMicrotask(() => this.next());
    }
    return null;
  }

  /**
   * What is there of the part on the screen, coarse tiles first, and a wish for what is missing; the
   * wishes of earlier frames are forgotten. `screen` in CSS pixels.
   */
  visible(camera: Camera, screen: Size, ratio: number): { rect: Rect; bitmap: ImageBitmap }[] {
    this.wanted = [];
    const window = {
      x: -camera.x / camera.scale,
      y: -camera.y / camera.scale,
      width: screen.width / camera.scale,
      height: screen.height / camera.scale,
    };
    const sharp = this.levelFor(camera.scale * ratio);
    const found = [];
    for (let level = 0; level <= sharp; level += 1) {
      for (const tile of this.cover(window, level)) {
        const bitmap = this.get(tile, level === sharp || level === 0);
        if (bitmap) found.push({ rect: this.rect(tile), bitmap });
      }
    }
    return found;
  }

  close(): void {
    this.closed = true;
    this.wanted = [];
    for (const bitmap of this.loaded.values()) bitmap.close();
    this.loaded.clear();
  }

  private side(level: number): number {
    return TILE * 2 ** (this.levels - 1 - level);
  }

  private next(): void {
    while (!this.closed && this.loading.size < LOADS_AT_ONCE) {
      const tile = this.wanted.shift();
      if (!tile) return;
      const key = keyOf(tile);
      if (this.loaded.has(key) || this.loading.has(key)) continue;
      this.loading.add(key);
      this.load(tile)
        .then(
          (bitmap) => this.keep(key, bitmap),
          () => this.failed.add(key),
        )
        .finally(() => {
          this.loading.delete(key);
          this.next();
        });
    }
  }

  private keep(key: string, bitmap: ImageBitmap): void {
    if (this.closed) {
      bitmap.close();
      return;
    }
    this.loaded.set(key, bitmap);
    for (const [old, dropped] of this.loaded) {
      if (this.loaded.size <= KEPT) break;
      this.loaded.delete(old);
      dropped.close();
    }
    this.onLoad();
  }
}

function keyOf({ level, x, y }: TileIndex): string {
  return `${level}/${x}/${y}`;
}
