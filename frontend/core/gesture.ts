import { defaults } from "./attributes";
import type { Patch, ProposalEdit, RegionEdit } from "./history";
import { geometryMask } from "./loading";
import { FULL, Mask, MaskWriter, tileRect } from "./mask";
import { rasterize } from "./rasterize";
import { EMPTY_RECT, intersects, unionRect } from "./rect";
import { Spans } from "./spans";
import type { Store } from "./store";
import type {
  Attribute,
  Change,
  Polygon,
  Proposal,
  ProposalState,
  Rect,
  Region,
  RegionFields,
  StoredRegion,
} from "./types";

/** What a gesture needs of its document. */
export interface GestureHost {
  readonly newUuid: () => string;
  attributesOf(categoryId: number): readonly Attribute[];
  proposal(id: number): Proposal | null;
  /** The mask of a proposal. */
  proposalMask(id: number): Mask;
  /** The region into which a category is painted, where there is only one. */
  only(categoryId: number): Region | null;
  emit(change: Change): void;
  /** The gesture is over; `patch` is null when it left nothing behind. */
  ended(patch: Patch | null): void;
}

export interface RegionDraft extends Partial<Omit<RegionFields, "categoryId">> {
  readonly categoryId: number;
  /** Instance projects only; without it a mask is made, to be painted in the same gesture. */
  readonly polygons?: readonly Polygon[];
}

/** Indexed by slot: 1 where painting may change the pixel. */
export type Locks = Uint8Array;

/**
 * One change of the document by a person: any number of steps, each seen at once, then `commit` or
 * `cancel`. Mask regions left without pixels are removed at commit.
 */
export class Gesture {
  private readonly before = new Map<string, Region | null>();
  private readonly marksBefore = new Map<number, ProposalState>();
  private readonly writers = new Map<string, MaskWriter>();
  private dirty: Rect | null = null;
  private readonly changed = new Set<string>();
  private readonly changedProposals = new Set<number>();
  private over = false;

  constructor(
    readonly title: string,
    private readonly store: Store,
    private readonly host: GestureHost,
    private readonly origin: Change["origin"],
  ) {}

  /** Adds a region in front of all others unless `order` says otherwise. */
  add(draft: RegionDraft): Region {
    this.check();
    if (draft.polygons && this.store.exclusive) {
      throw new Error("Every region of this project is a mask.");
    }
    if (this.host.only(draft.categoryId)) throw new Error("The category has a region already.");
    return this.insert(draft);
  }

  private insert(draft: RegionDraft): Region {
    const front = this.store.sorted.at(-1);
    const region: Region = {
      uuid: draft.uuid ?? this.host.newUuid(),
      slot: this.store.freeSlot(),
      categoryId: draft.categoryId,
      geometry: { type: "mask" },
      bbox: EMPTY_RECT,
      area: 0,
      order: draft.order ?? (front ? front.order + 1 : 0),
      isCrowd: draft.isCrowd ?? false,
      attributes: draft.attributes ?? defaults(this.host.attributesOf(draft.categoryId)),
      source: draft.source ?? "",
      proposalId: draft.proposalId ?? null,
    };
    if (this.store.regions.has(region.uuid)) throw new Error("A region has that UUID already.");
    this.put(region.uuid, region);
    if (draft.polygons) this.setPolygons(region.uuid, draft.polygons);
    else this.emit(false);
    return this.region(region.uuid);
  }

  remove(uuid: string): void {
    this.check();
    this.region(uuid);
    this.eraseMask(uuid, this.mask(uuid));
    this.put(uuid, null);
    this.emit(false);
  }

  /** Changes fields other than the geometry. */
  update(uuid: string, fields: Partial<Omit<RegionFields, "uuid">>): void {
    this.check();
    const { categoryId } = fields;
    const other = categoryId !== undefined && categoryId !== this.region(uuid).categoryId;
    if (other && this.host.only(categoryId)) throw new Error("The category has a region already.");
    this.change(uuid, fields);
  }

  private change(uuid: string, fields: Partial<Omit<RegionFields, "uuid">>): void {
    const old = this.region(uuid);
    const next = { ...old, ...fields };
    const names = Object.keys(fields) as (keyof typeof fields)[];
    if (names.every((name) => old[name] === next[name])) return;
    this.put(uuid, next);
    if (next.order !== old.order && !this.store.exclusive) {
      this.spread(this.store.recompose(new Set(this.store.mask(uuid).tiles.keys())));
    }
    this.emit(false);
  }

  /** Makes it a polygon region with these polygons. Instance projects only. */
  setPolygons(uuid: string, polygons: readonly Polygon[]): void {
    this.check();
    if (this.store.exclusive) throw new Error("Every region of this project is a mask.");
    const mask = rasterize(polygons, this.store.size);
    this.put(uuid, { ...this.region(uuid), geometry: { type: "polygons", polygons } });
    this.replacePixels(uuid, mask);
    this.emit(false);
  }

  /** Makes it a mask region with exactly these pixels, where `locks` allow it. */
  setMask(uuid: string, mask: Mask, locks?: Locks): void {
    this.check();
    this.becomeMask(uuid);
    this.replacePixels(uuid, mask, locks);
    this.emit(false);
  }

  /** Adds pixels. In exclusive projects they leave the regions that had them. */
  paint(uuid: string, spans: Spans | Mask, locks?: Locks): void {
    this.check();
    this.becomeMask(uuid);
    this.paintPixels(uuid, spans, locks);
    this.emit(false);
  }

  /** Takes pixels away from one region or, with null in an exclusive project, from all. */
  erase(uuid: string | null, spans: Spans | Mask, locks?: Locks): void {
    this.check();
    if (uuid === null) {
      if (!this.store.exclusive) throw new Error("Choose the region to erase from.");
      this.paintPixels(null, spans, locks);
    } else {
      this.becomeMask(uuid);
      if (spans instanceof Mask) this.eraseMask(uuid, spans);
      else this.eraseSpans(uuid, spans);
    }
    this.emit(false);
  }

  /** The pixels of a region as they are now. */
  mask(uuid: string): Mask {
    return this.writers.get(uuid)?.snapshot() ?? this.store.mask(uuid);
  }

  /**
   * Makes regions those given, null takes one away: for a state that the server has or had. All of
   * it together has one region per category where that is the rule, on the way there may be two.
   */
  replace(regions: ReadonlyMap<string, StoredRegion | null>): void {
    this.check();
    for (const [uuid, region] of regions) {
      if (!region && this.store.regions.has(uuid)) this.remove(uuid);
    }
    for (const [uuid, region] of regions) {
      if (!region) continue;
      const { geometry, uuid: _, ...fields } = region;
      if (this.store.regions.has(uuid)) this.change(uuid, fields);
      else this.insert({ ...fields, uuid });
      if (geometry.type === "polygons" && !this.store.exclusive) {
        this.setPolygons(uuid, geometry.polygons);
      } else this.setMask(uuid, geometryMask(geometry, this.store.size));
    }
  }

  /**
   * Copies a proposal into the document: as a region of its own, or, where the project has one
   * region per category, into that one. In exclusive projects it takes only unlabeled pixels.
   * Null when none of its pixels was free (it is accepted all the same).
   */
  acceptProposal(id: number, categoryId?: number): Region | null {
    this.check();
    const proposal = this.host.proposal(id);
    if (!proposal) throw new Error("That proposal is not there.");
    const category = categoryId ?? proposal.categoryId;
    if (category === null) throw new Error("Choose a category for the proposal.");
    const draft = {
      categoryId: category,
      isCrowd: proposal.isCrowd,
      source: "proposal",
      proposalId: id,
    };
    if (!this.store.exclusive && proposal.geometry.type === "polygons") {
      this.changedProposals.add(id);
      return this.add({ ...draft, polygons: proposal.geometry.polygons });
    }
    const mask = this.host.proposalMask(id);
    const free = this.store.exclusive ? this.freePart(mask) : mask;
    const existing = this.host.only(category);
    if (existing || free.isEmpty) this.mark(id, "accepted");
    const target = existing ?? (free.isEmpty ? null : this.add(draft));
    if (target) this.paint(target.uuid, free);
    return target && this.region(target.uuid);
  }

  dismissProposal(id: number): void {
    this.check();
    this.mark(id, "dismissed");
    this.emit(false);
  }

  restoreProposal(id: number): void {
    this.check();
    this.mark(id, "open");
    this.emit(false);
  }

  /** Ends the gesture as one history step; false when nothing changed. */
  commit(): boolean {
    this.check();
    const edits = new Map([...this.writers].map(([uuid, writer]) => [uuid, writer.finish()]));
    const regions: RegionEdit[] = [];
    for (const [uuid, before] of this.before) {
      const tiles = edits.get(uuid) ?? [];
      const now = this.store.regions.get(uuid);
      const mask = this.store.mask(uuid);
      if (now && now.geometry.type === "mask" && mask.isEmpty) this.put(uuid, null);
      else if (now && tiles.length > 0) {
        this.put(uuid, { ...now, area: mask.area(), bbox: mask.bbox() });
      }
      const after = this.store.regions.get(uuid) ?? null;
      if ((before || after) && (before !== after || tiles.length > 0)) {
        regions.push({ uuid, before, after, tiles });
      }
    }
    const proposals: ProposalEdit[] = [];
    for (const [id, before] of this.marksBefore) {
      const after = this.store.marks.get(id) ?? "open";
      if (before !== after) proposals.push({ id, before, after });
    }
    const any = regions.length > 0 || proposals.length > 0;
    this.changed.clear();
    for (const { uuid, before, after } of regions) {
      this.changed.add(uuid);
      for (const one of [before, after]) {
        if (one && one.proposalId !== null) this.changedProposals.add(one.proposalId);
      }
    }
    for (const { id } of proposals) this.changedProposals.add(id);
    this.end(any ? { title: this.title, regions, proposals } : null);
    return any;
  }

  /** Takes everything back to where the gesture began. */
  cancel(): void {
    this.check();
    const tiles = new Set<number>();
    for (const writer of this.writers.values())
      for (const index of writer.revert()) tiles.add(index);
    for (const [uuid, before] of this.before) {
      if (this.store.regions.get(uuid)?.order !== before?.order) {
        for (const index of this.store.mask(uuid).tiles.keys()) tiles.add(index);
      }
      this.put(uuid, before);
    }
    for (const [id, state] of this.marksBefore) this.mark(id, state);
    this.spread(this.store.recompose(tiles));
    this.end(null);
  }

  private end(patch: Patch | null): void {
    this.over = true;
    this.host.ended(patch);
    this.emit(patch !== null);
  }

  private check(): void {
    if (this.over) throw new Error("The gesture is over.");
  }

  private region(uuid: string): Region {
    const region = this.store.regions.get(uuid);
    if (!region) throw new Error("That region is not there.");
    return region;
  }

  private touch(uuid: string): void {
    if (!this.before.has(uuid)) this.before.set(uuid, this.store.regions.get(uuid) ?? null);
    this.changed.add(uuid);
  }

  private put(uuid: string, region: Region | null): void {
    this.touch(uuid);
    for (const one of [this.store.regions.get(uuid), region]) {
      if (one && one.proposalId !== null) this.changedProposals.add(one.proposalId);
    }
    this.store.put(uuid, region);
  }

  private mark(id: number, state: ProposalState): void {
    if (!this.marksBefore.has(id)) this.marksBefore.set(id, this.store.marks.get(id) ?? "open");
    this.store.marks.set(id, state);
    this.changedProposals.add(id);
  }

  private becomeMask(uuid: string): void {
    const region = this.region(uuid);
    if (region.geometry.type !== "mask") this.put(uuid, { ...region, geometry: { type: "mask" } });
  }

  private writer(uuid: string): MaskWriter {
    let writer = this.writers.get(uuid);
    if (!writer) {
      this.touch(uuid);
      writer = new MaskWriter(this.store.mask(uuid));
      this.writers.set(uuid, writer);
    }
    return writer;
  }

  /** Gives pixels to a region or, with null in an exclusive project, to none. */
  private paintPixels(uuid: string | null, pixels: Spans | Mask, locks?: Locks): void {
    const { exclusive, labels, rank } = this.store;
    const slot = uuid === null ? 0 : this.region(uuid).slot;
    const mine = uuid === null ? null : this.writer(uuid);
    const writers: MaskWriter[] = [];
    const spans = pixels instanceof Mask ? this.paintTiles(slot, mine, pixels, locks) : pixels;
    for (let i = 0; i < spans.length * 3; i += 3) {
      const x = spans.data[i]!;
      const end = spans.data[i + 2]!;
      for (let y = spans.data[i + 1]!; y < end; ) {
        const start = y;
        const there = labels.get(x, y);
        y = labels.runEnd(x, y, end);
        if (there === slot || (locks && !locks[there])) continue;
        mine?.set(x, start, y);
        if (exclusive && there !== 0) {
          writers[there] ??= this.writer(this.store.uuidOf(there)!);
          writers[there].clear(x, start, y);
        }
        if (exclusive || rank[slot]! > rank[there]!) labels.fill(x, start, y, slot);
      }
    }
    this.spread(spans.bounds());
  }

  /** Whole tiles with one label are changed as such; returns what is left of `mask`. */
  private paintTiles(slot: number, mine: MaskWriter | null, mask: Mask, locks?: Locks): Spans {
    const { exclusive, labels, rank, size } = this.store;
    const rest = new Map(mask.tiles);
    for (const [index, tile] of mask.tiles) {
      const there = labels.plainAt(index);
      if (tile !== FULL || there === null) continue;
      rest.delete(index);
      if (there === slot || (locks && !locks[there])) continue;
      mine?.setTile(index, true);
      if (exclusive && there !== 0) this.writer(this.store.uuidOf(there)!).setTile(index, false);
      if (exclusive || rank[slot]! > rank[there]!) labels.drawTile(index, FULL, slot);
      this.spread(tileRect(index, size));
    }
    return Spans.fromMask(new Mask(size, rest));
  }

  private eraseSpans(uuid: string, spans: Spans): void {
    const { labels } = this.store;
    const bounds = spans.bounds();
    if (!bounds) return;
    const { slot } = this.region(uuid);
    const writer = this.writer(uuid);
    // Front to back. The box of a region of this gesture may be out of date.
    const below = this.store.sorted
      .filter((r) => r.slot !== slot && (this.before.has(r.uuid) || intersects(r.bbox, bounds)))
      .map((r) => ({ slot: r.slot, mask: this.store.mask(r.uuid) }))
      .reverse();
    const under = (x: number, y: number) => below.find(({ mask }) => mask.has(x, y))?.slot ?? 0;
    for (let i = 0; i < spans.length * 3; i += 3) {
      const [x, y0, y1] = [spans.data[i]!, spans.data[i + 1]!, spans.data[i + 2]!];
      writer.clear(x, y0, y1);
      for (let y = y0; y < y1; ) {
        const end = labels.runEnd(x, y, y1);
        if (labels.get(x, y) !== slot) {
          y = end;
          continue;
        }
        for (let from = y; y < end; from = y) {
          const next = under(x, y);
          do y++;
          while (y < end && under(x, y) === next);
          labels.fill(x, from, y, next);
        }
      }
    }
    this.spread(bounds);
  }

  private eraseMask(uuid: string, mask: Mask): void {
    this.spread(this.store.recompose(new Set(this.writer(uuid).subtract(mask))));
  }

  private replacePixels(uuid: string, mask: Mask, locks?: Locks): void {
    const old = this.mask(uuid);
    this.eraseMask(uuid, old.subtract(mask));
    this.paintPixels(uuid, mask.subtract(old), locks);
  }

  /** What of a mask belongs to no region. */
  private freePart(mask: Mask): Mask {
    const writer = new MaskWriter(new Mask(mask.size, new Map(mask.tiles)));
    const bounds = mask.bbox();
    for (const { uuid, bbox } of this.store.sorted) {
      const theirs = this.store.mask(uuid);
      if (theirs.isMade || intersects(bbox, bounds)) writer.subtract(theirs);
    }
    writer.finish();
    return writer.mask;
  }

  private spread(rect: Rect | null): void {
    this.dirty = unionRect(this.dirty, rect);
  }

  private emit(final: boolean): void {
    const change: Change = {
      dirty: this.dirty,
      regions: [...this.changed],
      proposals: [...this.changedProposals],
      final,
      origin: this.origin,
    };
    this.dirty = null;
    if (!this.over) {
      this.changed.clear();
      this.changedProposals.clear();
    }
    this.host.emit(change);
  }
}
