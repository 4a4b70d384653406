import type { StoredRegion } from "../core/types";

/** SIGNATURES: what `Autosave` offers. */
export interface SaveReply {
  readonly status: number;
  /** Parsed JSON, or null. */
  readonly body: unknown;
  /** From Retry-After. */
  readonly retryAfterSeconds?: number;
}

/** `path` begins with /api/. Rejects when no answer came. */
export type Send = (method: "GET" | "POST", path: string, body?: unknown) => Promise<SaveReply>;

export interface SaveProblem {
  readonly region: string | null;
  readonly code: string;
  readonly detail: string;
  readonly field: string;
  readonly hint: string;
}

export interface SaveConflict {
  readonly region: string;
  /** Null: deleted here. */
  readonly mine: StoredRegion | null;
  /** Null: deleted there. */
  readonly theirs: StoredRegion | null;
  readonly theirVersion: number;
  readonly author: string;
}

export interface SaveState {
  readonly status: "saved" | "saving" | "offline" | "login-expired" | "conflict" | "error";
  /** Writes that the server does not have yet. */
  readonly pending: number;
  readonly conflicts: readonly SaveConflict[];
  readonly problems: readonly SaveProblem[];
  /** False: this browser cannot store; closing the tab would lose what is pending. */
  readonly stored: boolean;
  /** Of the annotation, as the server last said. */
  readonly revision: number;
}

export declare class Autosave {
  readonly state: SaveState;
  subscribe(listener: (state: SaveState) => void): () => void;
  /** Sends all that waits; resolves when saved, or when it cannot go on (look at `state`). */
  flush(): Promise<SaveState>;
  keepMine(region: string): Promise<void>;
  takeTheirs(region: string): Promise<void>;
  /** After a new login of the same person, or `online`. */
  retry(): void;
  close(): void;
}
