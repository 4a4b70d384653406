import type {
  Change,
  Polygon,
  ProjectKind,
  Proposal,
  ProposalState,
  Region,
  RegionFields,
  Size,
  StoredRegion,
} from "./types";

/**
 * SIGNATURES: what `Document` and `Gesture` offer; the classes below will have exactly these.
 */
export interface DocumentOptions {
  readonly size: Size;
  readonly kind: ProjectKind;
  /** Semantic projects need none; panoptic ones tell things from stuff by it. */
  readonly isThing: (categoryId: number) => boolean;
  readonly newUuid: () => string;
  readonly regions?: readonly StoredRegion[];
  readonly proposals?: readonly Proposal[];
  readonly dismissed?: readonly number[];
  /** Default 256 MB. */
  readonly maxHistoryBytes?: number;
}

export declare class Document {
  constructor(options: DocumentOptions);
  readonly size: Size;
  readonly kind: ProjectKind;
  /** Semantic and panoptic: every pixel belongs to at most one region. */
  readonly exclusive: boolean;
  /** The label map: row-major, 0 = nothing, else the slot of the front-most region. Do not write. */
  readonly labels: Uint16Array;
  readonly history: {
    readonly undoTitle: string | null;
    readonly redoTitle: string | null;
    readonly bytes: number;
    /** Steps dropped because the history was full. */
    readonly dropped: number;
  };
  /** Back to front. */
  readonly regions: readonly Region[];
  readonly proposals: readonly Proposal[];
  /** The gesture that goes on, or null. */
  readonly gesture: Gesture | null;
  region(uuid: string): Region | null;
  bySlot(slot: number): Region | null;
  proposalState(id: number): ProposalState;
  /** COCO compressed RLE of the region's pixels. */
  counts(uuid: string): string;
  /** As it is saved. */
  stored(uuid: string): StoredRegion | null;
  /** One gesture at a time: throws when another goes on. */
  begin(title: string, origin?: "edit" | "server"): Gesture;
  /** Titles of what was undone; null when there is nothing or a gesture goes on. */
  undo(): string | null;
  redo(): string | null;
  subscribe(listener: (change: Change) => void): () => void;
}

export declare class Gesture {
  readonly title: string;
  /** A new region; `geometry` given as stored. */
  add(region: Partial<RegionFields> & { categoryId: number }): Region;
  remove(uuid: string): void;
  update(uuid: string, fields: Partial<Omit<RegionFields, "uuid">>): void;
  setPolygons(uuid: string, polygons: readonly Polygon[]): void;
  acceptProposal(id: number, categoryId?: number): Region | null;
  dismissProposal(id: number): void;
  restoreProposal(id: number): void;
  /** False when nothing changed (no history step then). */
  commit(): boolean;
  cancel(): void;
}
