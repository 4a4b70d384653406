import { FULL, type Tile, type TileEdit } from "./mask";
import type { ProposalState, Region } from "./types";

export interface RegionEdit {
  readonly uuid: string;
  readonly before: Region | null;
  readonly after: Region | null;
  readonly tiles: readonly TileEdit[];
}

export interface ProposalEdit {
  readonly id: number;
  readonly before: ProposalState;
  readonly after: ProposalState;
}

/** What one gesture changed, to be applied in either direction. */
export interface Patch {
  readonly title: string;
  readonly regions: readonly RegionEdit[];
  readonly proposals: readonly ProposalEdit[];
}

export const DEFAULT_HISTORY_BYTES = 256 * 1024 * 1024;

/** Undo and redo steps, bounded by the memory they hold. */
export class History {
  private readonly done: Patch[] = [];
  private readonly undone: Patch[] = [];
  private held = 0;
  private lost = 0;

  constructor(private readonly maxBytes: number) {}

  /** About that many bytes are held by the steps. */
  get bytes(): number {
    return this.held;
  }

  /** Oldest steps that were dropped because the history was full. */
  get dropped(): number {
    return this.lost;
  }

  /** That many can be undone. */
  get steps(): number {
    return this.done.length;
  }

  get undoTitle(): string | null {
    return this.done.at(-1)?.title ?? null;
  }

  get redoTitle(): string | null {
    return this.undone.at(-1)?.title ?? null;
  }

  push(patch: Patch): void {
    for (const step of this.undone.splice(0)) this.held -= patchBytes(step);
    this.done.push(patch);
    this.held += patchBytes(patch);
    while (this.held > this.maxBytes && this.done.length > 0) {
      this.held -= patchBytes(this.done.shift()!);
      this.lost++;
    }
  }

  /** The step to apply backwards. */
  takeUndo(): Patch | null {
    const patch = this.done.pop();
    if (patch) this.undone.push(patch);
    return patch ?? null;
  }

  /** The step to apply forwards. */
  takeRedo(): Patch | null {
    const patch = this.undone.pop();
    if (patch) this.done.push(patch);
    return patch ?? null;
  }
}

function patchBytes(patch: Patch): number {
  let bytes = 200 + patch.proposals.length * 50;
  for (const { before, after, tiles } of patch.regions) {
    bytes += regionBytes(before) + regionBytes(after);
    for (const tile of tiles) bytes += 60 + tileBytes(tile.before) + tileBytes(tile.after);
  }
  return bytes;
}

function tileBytes(tile: Tile | undefined): number {
  return tile && tile !== FULL ? tile.byteLength : 0;
}

function regionBytes(region: Region | null): number {
  if (!region) return 0;
  const { geometry } = region;
  if (geometry.type === "mask") return 200;
  return 200 + 8 * geometry.polygons.flat().reduce((sum, ring) => sum + ring.length, 0);
}
