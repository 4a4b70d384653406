import { Gesture } from "./gesture";
import { DEFAULT_HISTORY_BYTES, History, type Patch } from "./history";
import type { LabelMap } from "./labelmap";
import { geometryMask, type LoadedPixels, loadingOrder, loadPixels } from "./loading";
import { Mask } from "./mask";
import { Store } from "./store";
import type {
  Attribute,
  Change,
  ProjectKind,
  Proposal,
  ProposalState,
  Region,
  Size,
  StoredRegion,
} from "./types";

export interface DocumentOptions {
  readonly size: Size;
  readonly kind: ProjectKind;
  /** Panoptic projects have one region per category that is not a thing. */
  readonly isThing: (categoryId: number) => boolean;
  /** What regions of a category carry; none by default. */
  readonly attributesOf?: (categoryId: number) => readonly Attribute[];
  readonly newUuid: () => string;
  readonly regions?: readonly StoredRegion[];
  readonly proposals?: readonly Proposal[];
  readonly dismissed?: readonly number[];
  /** Of `regions` in `loadingOrder`, where a worker has made them beforehand. */
  readonly pixels?: LoadedPixels;
  /** Default 256 MB. */
  readonly maxHistoryBytes?: number;
}

/** The work on one image: regions, proposals, the label map and the history of changes. */
export class Document {
  readonly size: Size;
  readonly kind: ProjectKind;
  /** Semantic and panoptic: every pixel belongs to at most one region, and all are masks. */
  readonly exclusive: boolean;
  readonly history: History;
  readonly newUuid: () => string;
  readonly proposals: readonly Proposal[];
  readonly attributesOf: (categoryId: number) => readonly Attribute[];
  private readonly store: Store;
  private readonly isThing: (categoryId: number) => boolean;
  private readonly proposalMasks = new Map<number, Mask>();
  private readonly listeners = new Set<(change: Change) => void>();
  private current: Gesture | null = null;

  /** Throws RleError where a stored mask is broken. */
  constructor(options: DocumentOptions) {
    this.size = options.size;
    this.kind = options.kind;
    this.exclusive = options.kind !== "instance";
    this.isThing = options.isThing;
    this.attributesOf = options.attributesOf ?? (() => []);
    this.newUuid = options.newUuid;
    this.proposals = options.proposals ?? [];
    this.history = new History(options.maxHistoryBytes ?? DEFAULT_HISTORY_BYTES);
    const regions = loadingOrder(this.kind, options.regions ?? []);
    const pixels =
      options.pixels ??
      loadPixels(
        this.size,
        this.exclusive,
        regions.map(({ geometry }) => geometry),
      );
    this.store = new Store(this.exclusive, pixels.labels);
    for (const id of options.dismissed ?? []) this.store.marks.set(id, "dismissed");
    this.load(regions, pixels);
  }

  /** At every pixel 0 = nothing, else the slot of the front-most region. Read only. */
  get labels(): LabelMap {
    return this.store.labels;
  }

  /** Back to front. */
  get regions(): readonly Region[] {
    return this.store.sorted;
  }

  /** The gesture that goes on. */
  get gesture(): Gesture | null {
    return this.current;
  }

  region(uuid: string): Region | null {
    return this.store.regions.get(uuid) ?? null;
  }

  bySlot(slot: number): Region | null {
    const uuid = this.store.uuidOf(slot);
    return uuid === null ? null : this.region(uuid);
  }

  /** The slot at a pixel, 0 for nothing and outside of the image. */
  slotAt(x: number, y: number): number {
    return this.store.labels.at(x, y);
  }

  /** The pixels of a region; later changes leave this one as it is. */
  mask(uuid: string): Mask {
    if (this.current) return this.current.mask(uuid);
    return new Mask(this.size, new Map(this.store.mask(uuid).tiles));
  }

  /** Whether the region covers that pixel, also where others lie in front. */
  covers(uuid: string, x: number, y: number): boolean {
    return this.store.mask(uuid).has(Math.floor(x), Math.floor(y));
  }

  /** Makes masks that were left for later while `go` says so; true when all are made. */
  makeMasks(go: () => boolean): boolean {
    for (const mask of this.store.masks.values()) {
      if (mask.isMade) continue;
      if (!go()) return false;
      mask.make();
    }
    return true;
  }

  proposal(id: number): Proposal | null {
    return this.proposals.find((proposal) => proposal.id === id) ?? null;
  }

  proposalMask(id: number): Mask {
    const proposal = this.proposal(id);
    if (!proposal) throw new Error("That proposal is not there.");
    let mask = this.proposalMasks.get(id);
    if (!mask) {
      mask = geometryMask(proposal.geometry, this.size);
      this.proposalMasks.set(id, mask);
    }
    return mask;
  }

  proposalState(id: number): ProposalState {
    return this.store.proposalState(id);
  }

  /**
   * The region into which a category is painted, where the project has only one per category:
   * semantic ones, and stuff in panoptic ones. Null when there is none yet, or may be many.
   */
  only(categoryId: number): Region | null {
    if (!this.isSingle(categoryId)) return null;
    return this.regions.find((region) => region.categoryId === categoryId) ?? null;
  }

  /** Whether the project has at most one region of that category. */
  isSingle(categoryId: number): boolean {
    return this.kind === "semantic" || (this.kind === "panoptic" && !this.isThing(categoryId));
  }

  /** The region as it is saved; encodes its mask here and now. */
  stored(uuid: string): StoredRegion | null {
    const region = this.region(uuid);
    if (!region) return null;
    const { slot: _slot, bbox: _bbox, area: _area, geometry, ...fields } = region;
    return {
      ...fields,
      geometry:
        geometry.type === "mask" ? { type: "mask", counts: this.mask(uuid).counts() } : geometry,
    };
  }

  /** Begins a gesture; throws while another one goes on. */
  begin(title: string, origin: Change["origin"] = "edit"): Gesture {
    if (this.current) throw new Error("Another gesture goes on.");
    this.current = new Gesture(
      title,
      this.store,
      {
        newUuid: this.newUuid,
        attributesOf: this.attributesOf,
        proposal: (id) => this.proposal(id),
        proposalMask: (id) => this.proposalMask(id),
        only: (categoryId) => this.only(categoryId),
        emit: (change) => this.emit(change),
        ended: (patch) => {
          this.current = null;
          if (patch) this.history.push(patch);
        },
      },
      origin,
    );
    return this.current;
  }

  /** One gesture from begin to commit; an error inside cancels it and is thrown on. */
  edit<Result>(
    title: string,
    change: (gesture: Gesture) => Result,
    origin: Change["origin"] = "edit",
  ): Result {
    const gesture = this.begin(title, origin);
    try {
      const result = change(gesture);
      gesture.commit();
      return result;
    } catch (error) {
      if (this.current === gesture) gesture.cancel();
      throw error;
    }
  }

  /** The title of what was undone; null when there is nothing to undo, or a gesture goes on. */
  undo(): string | null {
    const patch = this.current ? null : this.history.takeUndo();
    if (patch) this.apply(patch, "before");
    return patch?.title ?? null;
  }

  redo(): string | null {
    const patch = this.current ? null : this.history.takeRedo();
    if (patch) this.apply(patch, "after");
    return patch?.title ?? null;
  }

  /** Called after every change; returns the function that ends it. */
  subscribe(listener: (change: Change) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  private load(regions: readonly StoredRegion[], pixels: LoadedPixels): void {
    regions.forEach(({ geometry, ...fields }, i) => {
      const { mask, bbox, area } = pixels.regions[i]!;
      this.store.masks.set(fields.uuid, mask);
      this.store.put(fields.uuid, {
        ...fields,
        slot: this.store.freeSlot(),
        geometry: this.exclusive || geometry.type === "mask" ? { type: "mask" } : geometry,
        bbox,
        area,
      });
    });
  }

  private apply(patch: Patch, side: "before" | "after"): void {
    const tiles = new Set<number>();
    const proposals = new Set(patch.proposals.map(({ id }) => id));
    for (const edit of patch.regions) {
      const mask = this.store.mask(edit.uuid);
      for (const tile of edit.tiles) {
        const wanted = tile[side];
        if (wanted) mask.tiles.set(tile.index, wanted);
        else mask.tiles.delete(tile.index);
        tiles.add(tile.index);
      }
      if (edit.before?.order !== edit.after?.order) {
        for (const index of mask.tiles.keys()) tiles.add(index);
      }
      for (const region of [edit.before, edit.after]) {
        if (region && region.proposalId !== null) proposals.add(region.proposalId);
      }
      this.store.put(edit.uuid, edit[side]);
    }
    for (const edit of patch.proposals) this.store.marks.set(edit.id, edit[side]);
    this.emit({
      dirty: this.store.recompose(tiles),
      regions: patch.regions.map(({ uuid }) => uuid),
      proposals: [...proposals],
      final: true,
      origin: "edit",
    });
  }

  private emit(change: Change): void {
    for (const listener of [...this.listeners]) listener(change);
  }
}
