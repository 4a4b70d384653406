import type { StoredRegion } from "../core/types";
import type { Outbox, PendingWrite, Scope } from "./outbox";
import { type Refusal, regionToWire } from "./wire";

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

/** A write in memory: as stored, and why it is held back. */
export interface Queued {
  stored: PendingWrite;
  conflict: SaveConflict | null;
  problem: SaveProblem | null;
  /** The person chose this version: a newer one of the server does not stop it. */
  insists: boolean;
}

export interface QueueOptions {
  readonly scope: Scope;
  readonly session: string;
  readonly outbox: Outbox;
  readonly newUuid: () => string;
  /** By region's UUID, what the server last said. */
  readonly versions: ReadonlyMap<string, number>;
  /** Left by sessions that are gone, in order. */
  readonly adopted: readonly PendingWrite[];
  /** Milliseconds: later sessions go on with greater numbers. */
  readonly now: number;
}

const MAX_CHARACTERS = 8_000_000;

/**
 * The writes that the server does not have yet, in memory and in the outbox. Changes of a region are
 * joined into one write until that is sent; from then on it is repeated as it is, and later changes
 * follow in a write of their own.
 */
export class WriteQueue {
  readonly entries: Queued[] = [];
  /** By region's UUID. */
  readonly versions: Map<string, number>;
  /** Proposals that are dismissed as far as the server knows or will know. */
  readonly marked = new Set<number>();
  /** False: the outbox cannot be written, what is here is only in memory. */
  stored = true;
  private nextOrder: number;

  constructor(private readonly options: QueueOptions) {
    const { adopted, now } = options;
    this.versions = new Map(options.versions);
    this.nextOrder = Math.max(now, (adopted.at(-1)?.order ?? 0) + 1);
    for (const stored of adopted) {
      const follows = this.entries.some((entry) => entry.stored.target === stored.target);
      const basedOn = follows ? stored.basedOn : (stored.basedOn ?? this.version(stored.target));
      this.entries.push(queued({ ...stored, basedOn }));
    }
  }

  version(target: string | number): number {
    return this.versions.get(String(target)) ?? 0;
  }

  /** The server's regions, with what still waits on top. */
  restored(regions: readonly StoredRegion[]): StoredRegion[] {
    const result = new Map(regions.map((region) => [region.uuid, region]));
    for (const { stored } of this.entries) {
      if (stored.op === "upsert") result.set(String(stored.target), stored.region!);
      if (stored.op === "delete") result.delete(String(stored.target));
    }
    return [...result.values()];
  }

  /** The server's dismissed proposals, with what still waits on top. */
  restoredDismissals(dismissed: readonly number[]): number[] {
    const result = new Set(dismissed);
    for (const { stored } of this.entries) {
      if (stored.op === "dismiss") result.add(Number(stored.target));
      if (stored.op === "restore") result.delete(Number(stored.target));
    }
    return [...result];
  }

  /** Adds what one gesture changed: regions as they are now, null for deleted ones. */
  async add(
    regions: ReadonlyMap<string, StoredRegion | null>,
    dismissals: ReadonlyMap<number, boolean>,
  ): Promise<void> {
    const touched = new Set<Queued>();
    const dropped: Queued[] = [];
    for (const [uuid, region] of regions) this.addRegion(uuid, region, touched, dropped);
    for (const [id, dismissed] of dismissals) this.addMark(id, dismissed, touched);
    await this.persist([...touched], dropped);
  }

  /** A write of its own, not joined with others; the caller persists it. */
  push(
    op: PendingWrite["op"],
    target: string | number,
    region: StoredRegion | null,
    basedOn: number | null,
  ): Queued {
    const { newUuid, scope, session } = this.options;
    const key = newUuid();
    const order = this.nextOrder++;
    const entry = queued({ key, scope, session, order, op, target, region, basedOn, sent: false });
    this.entries.push(entry);
    return entry;
  }

  /** The first write of each region that may go, at most `limit` and what one request can hold. */
  batch(limit: number): Queued[] {
    const batch: Queued[] = [];
    const seen = new Set<string | number>();
    let characters = 0;
    for (const entry of this.entries) {
      const { target, region } = entry.stored;
      if (seen.has(target)) continue;
      seen.add(target);
      if (entry.conflict || entry.problem || entry.stored.basedOn === null) continue;
      characters += region?.geometry.type === "mask" ? region.geometry.counts.length : 1000;
      if (batch.length > 0 && (batch.length >= limit || characters > MAX_CHARACTERS)) break;
      batch.push(entry);
    }
    return batch;
  }

  /** All writes, where one request can hold them and none was sent before; else null. */
  all(limit: number): Queued[] | null {
    const batch = this.batch(limit);
    const whole = batch.length === this.entries.length;
    return whole && batch.every(({ stored }) => !stored.sent) ? batch : null;
  }

  /** The server has them: they go, and what followed them knows what it is based on. */
  async confirm(batch: readonly Queued[]): Promise<void> {
    const following: Queued[] = [];
    for (const entry of batch) {
      const { target } = entry.stored;
      this.remove(entry);
      const next = this.entries.find(({ stored }) => stored.target === target);
      if (!next || next.stored.basedOn !== null) continue;
      next.stored = { ...next.stored, basedOn: this.version(target) };
      following.push(next);
    }
    await this.persist(following, batch);
  }

  async drop(entries: readonly Queued[]): Promise<void> {
    for (const entry of entries) this.remove(entry);
    await this.persist([], entries);
  }

  async persist(puts: readonly Queued[], deletes: readonly Queued[]): Promise<void> {
    // After a failure all is to be stored again.
    const wanted = this.stored ? puts : this.entries;
    try {
      await this.options.outbox.change(
        wanted.map(({ stored }) => stored),
        deletes.map(({ stored }) => stored.key),
      );
      this.stored = true;
    } catch {
      this.stored = false;
    }
  }

  private addRegion(
    uuid: string,
    region: StoredRegion | null,
    touched: Set<Queued>,
    dropped: Queued[],
  ): void {
    const op = region ? "upsert" : "delete";
    const prior = this.entries.findLast(({ stored }) => stored.target === uuid);
    if (prior && !prior.stored.sent) {
      if (!region && prior.stored.basedOn === 0 && !prior.conflict) {
        this.remove(prior);
        dropped.push(prior);
        return;
      }
      prior.stored = { ...prior.stored, op, region };
      prior.problem = null;
      if (prior.conflict) prior.conflict = { ...prior.conflict, mine: region };
      touched.add(prior);
      return;
    }
    const basedOn = prior ? null : this.version(uuid);
    // It never got to the server.
    if (!region && basedOn === 0) return;
    touched.add(this.push(op, uuid, region, basedOn));
  }

  private addMark(id: number, dismissed: boolean, touched: Set<Queued>): void {
    const op = dismissed ? "dismiss" : "restore";
    const prior = this.entries.findLast(({ stored }) => stored.target === id);
    if (prior && !prior.stored.sent) {
      prior.stored = { ...prior.stored, op };
      touched.add(prior);
    } else if (prior || dismissed || this.marked.has(id)) {
      touched.add(this.push(op, id, null, 0));
    }
    if (dismissed) this.marked.add(id);
    else this.marked.delete(id);
  }

  private remove(entry: Queued): void {
    this.entries.splice(this.entries.indexOf(entry), 1);
  }
}

/** It was not applied: it may change again. */
export function release(entry: Queued): void {
  entry.stored = { ...entry.stored, sent: false };
}

function queued(stored: PendingWrite): Queued {
  return { stored, conflict: null, problem: null, insists: false };
}

export function toWire(write: PendingWrite): unknown {
  const { op, target, key, basedOn, region, scope } = write;
  if (op === "dismiss" || op === "restore") return { op, proposal: target };
  const start = { op, region: target, based_on: basedOn, key };
  return region ? { ...start, ...regionToWire(region, scope.size) } : start;
}

export function problemOf(
  { code, detail, field, hint }: Refusal,
  region: string | null,
): SaveProblem {
  return { region, code, detail, field, hint };
}
