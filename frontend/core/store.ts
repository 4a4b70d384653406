import type { LabelMap } from "./labelmap";
import { Mask, tileRect } from "./mask";
import { intersects, unionRect } from "./rect";
import type { ProposalState, Rect, Region, Size } from "./types";

export const MAX_SLOT = 65535;

/**
 * The state that a document and its gestures share: regions, their masks, and the label map made
 * of them.
 */
export class Store {
  readonly size: Size;
  readonly regions = new Map<string, Region>();
  readonly masks = new Map<string, Mask>();
  /** Proposals that a person accepted into an existing region, or dismissed. */
  readonly marks = new Map<number, ProposalState>();
  private readonly slots: (string | undefined)[] = [];
  private readonly accepted = new Map<number, number>();
  private nextSlot = 1;
  private order: readonly Region[] | null = null;
  private ranks: Uint16Array | null = null;

  constructor(
    readonly exclusive: boolean,
    readonly labels: LabelMap,
  ) {
    this.size = labels.size;
  }

  /** Back to front. */
  get sorted(): readonly Region[] {
    this.order ??= [...this.regions.values()].sort((a, b) => a.order - b.order || a.slot - b.slot);
    return this.order;
  }

  /** By slot: greater is in front. */
  get rank(): Uint16Array {
    if (!this.ranks) {
      this.ranks = new Uint16Array(MAX_SLOT + 1);
      this.sorted.forEach((region, i) => {
        this.ranks![region.slot] = i + 1;
      });
    }
    return this.ranks;
  }

  uuidOf(slot: number): string | null {
    return this.slots[slot] ?? null;
  }

  /** The one mask of that region for as long as the document is open, also while it is removed. */
  mask(uuid: string): Mask {
    let mask = this.masks.get(uuid);
    if (!mask) {
      mask = new Mask(this.size);
      this.masks.set(uuid, mask);
    }
    return mask;
  }

  /** A slot that no region has and, until all were used once, none had: history stays valid. */
  freeSlot(): number {
    if (this.nextSlot <= MAX_SLOT) return this.nextSlot++;
    for (let slot = 1; slot <= MAX_SLOT; slot++) if (!this.slots[slot]) return slot;
    throw new Error(`An image can have at most ${MAX_SLOT} regions.`);
  }

  /** Adds, replaces or (null) removes a region. Its pixels are the caller's matter. */
  put(uuid: string, region: Region | null): void {
    const old = this.regions.get(uuid);
    if (old) {
      this.slots[old.slot] = undefined;
      this.countAccepted(old, -1);
    }
    if (region) {
      this.regions.set(uuid, region);
      this.slots[region.slot] = uuid;
      this.countAccepted(region, 1);
    } else {
      this.regions.delete(uuid);
    }
    if (old?.order !== region?.order || old?.slot !== region?.slot) this.ranks = null;
    this.order = null;
  }

  proposalState(id: number): ProposalState {
    return this.accepted.get(id) ? "accepted" : (this.marks.get(id) ?? "open");
  }

  /** Draws these tiles of the label map anew; returns the rectangle around them. */
  recompose(tiles: ReadonlySet<number>): Rect | null {
    let dirty: Rect | null = null;
    for (const index of tiles) {
      dirty = unionRect(dirty, tileRect(index, this.size));
      this.labels.clearTile(index);
    }
    for (const { uuid, slot, bbox } of this.sorted) {
      const mask = this.mask(uuid);
      if (!mask.isMade && !(dirty && intersects(bbox, dirty))) continue;
      const mine = mask.tiles;
      // Through the smaller of the two: many regions, few tiles, or the other way round.
      if (mine.size < tiles.size) {
        for (const [index, tile] of mine)
          if (tiles.has(index)) this.labels.drawTile(index, tile, slot);
      } else {
        for (const index of tiles) {
          const tile = mine.get(index);
          if (tile) this.labels.drawTile(index, tile, slot);
        }
      }
    }
    return dirty;
  }

  private countAccepted({ proposalId }: Region, by: number): void {
    if (proposalId === null) return;
    this.accepted.set(proposalId, (this.accepted.get(proposalId) ?? 0) + by);
  }
}
