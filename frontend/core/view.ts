import type { Document } from "./document";
import { MAX_SLOT } from "./store";
import type { Region } from "./types";

export interface ViewState {
  /** UUIDs, the first one chosen first. */
  readonly selection: readonly string[];
  /** What the drawing tools make. */
  readonly categoryId: number | null;
  readonly hiddenRegions: ReadonlySet<string>;
  readonly hiddenCategories: ReadonlySet<number>;
  /** Only these are shown, unless empty. */
  readonly solo: ReadonlySet<string>;
  /** Pixels of these categories are not painted over. */
  readonly lockedCategories: ReadonlySet<number>;
  readonly lockedRegions: ReadonlySet<string>;
  readonly onlyUnlabeled: boolean;
  /** Painting changes pixels of this category only: it replaces one category by another. */
  readonly onlyOver: number | null;
  readonly colorBy: "category" | "region";
  readonly showProposals: boolean;
  /** Proposals below it are not shown. */
  readonly minScore: number;
  /** Image pixels. */
  readonly brushRadius: number;
  readonly brushShape: "round" | "square";
  /** Whether pen pressure changes the brush radius. */
  readonly brushPressure: boolean;
  /** 0…255 per colour channel. */
  readonly wandTolerance: number;
  /** Image pixels on a side of a superpixel, about. */
  readonly superpixelSize: number;
  /** Screen pixels within which a vertex snaps to another; 0 is off. */
  readonly snapDistance: number;
  /** Vertices at the same place move together. */
  readonly sharedBorders: boolean;
  /** Whether the assist tool shows its mask before the click. */
  readonly assistPreview: boolean;
}

const INITIAL: ViewState = {
  selection: [],
  categoryId: null,
  hiddenRegions: new Set(),
  hiddenCategories: new Set(),
  solo: new Set(),
  lockedCategories: new Set(),
  lockedRegions: new Set(),
  onlyUnlabeled: false,
  onlyOver: null,
  colorBy: "category",
  showProposals: true,
  minScore: 0,
  brushRadius: 12,
  brushShape: "round",
  brushPressure: true,
  wandTolerance: 24,
  superpixelSize: 24,
  snapDistance: 8,
  sharedBorders: true,
  assistPreview: true,
};

/** What a person looks at and works with: kept out of the document and of its history. */
export class View {
  private current: ViewState;
  private readonly listeners = new Set<(state: ViewState) => void>();

  constructor(initial: Partial<ViewState> = {}) {
    this.current = { ...INITIAL, ...initial };
  }

  get state(): ViewState {
    return this.current;
  }

  set(change: Partial<ViewState>): void {
    this.current = { ...this.current, ...change };
    for (const listener of this.listeners) listener(this.current);
  }

  /** Called after every `set`; returns the function that ends it. */
  subscribe(listener: (state: ViewState) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  select(...uuids: readonly string[]): void {
    this.set({ selection: [...new Set(uuids)] });
  }

  toggle(uuid: string): void {
    const { selection } = this.current;
    this.select(
      ...(selection.includes(uuid) ? selection.filter((u) => u !== uuid) : [...selection, uuid]),
    );
  }

  isVisible(region: Region): boolean {
    const { solo, hiddenRegions, hiddenCategories } = this.current;
    if (solo.size) return solo.has(region.uuid);
    return !hiddenRegions.has(region.uuid) && !hiddenCategories.has(region.categoryId);
  }

  isLocked(region: Region): boolean {
    const { lockedCategories, lockedRegions } = this.current;
    return lockedRegions.has(region.uuid) || lockedCategories.has(region.categoryId);
  }

  /** Indexed by slot: 1 where painting may change the pixel. */
  mayPaint(doc: Document): Uint8Array {
    const { onlyUnlabeled, onlyOver } = this.current;
    if (!onlyUnlabeled && onlyOver === null) return this.mayErase(doc);
    const table = new Uint8Array(MAX_SLOT + 1);
    table[0] = onlyUnlabeled ? 1 : 0;
    for (const region of doc.regions) {
      if (region.categoryId === onlyOver && !this.isLocked(region)) table[region.slot] = 1;
    }
    return table;
  }

  /** Indexed by slot: 1 where erasing may change the pixel. */
  mayErase(doc: Document): Uint8Array {
    const table = new Uint8Array(MAX_SLOT + 1).fill(1);
    for (const region of doc.regions) if (this.isLocked(region)) table[region.slot] = 0;
    return table;
  }
}
