import type { Document } from "../core/document";
import type { Mask } from "../core/mask";
import type { Change, StoredRegion } from "../core/types";
import type { Outbox, PendingWrite, Scope } from "./outbox";
import {
  problemOf,
  type Queued,
  release,
  type SaveConflict,
  type SaveProblem,
  toWire,
  WriteQueue,
} from "./queue";
import { isHandled, type Snapshot, sameRegion, showTheirs, snapshot } from "./regions";
import {
  authorOf,
  type Refusal,
  refusalOf,
  regionFromWire,
  type SavedRegion,
  type SaveReply,
  type Send,
  type WireRegion,
} from "./wire";

/** Time as it passes; tests have their own. */
export interface Clock {
  now(): number;
  /** Returns what ends it. */
  after(milliseconds: number, call: () => void): () => void;
}

export type { SaveConflict, SaveProblem };

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
  /** Null until the first save makes it. */
  readonly annotation: number | null;
}

export interface AutosaveOptions {
  readonly scope: Scope;
  readonly session: string;
  readonly outbox: Outbox;
  readonly send: Send;
  readonly clock: Clock;
  readonly newUuid: () => string;
  /** Mask to COCO counts, off the main thread where there is a worker. */
  readonly encode: (mask: Mask) => Promise<string>;
  readonly annotation: number | null;
  readonly revision: number;
  /** By region's UUID, what the server last said. */
  readonly versions: ReadonlyMap<string, number>;
  /** Left by sessions that are gone, in order. */
  readonly adopted: readonly PendingWrite[];
  /** Seconds of active work since the last call. */
  readonly takeSeconds?: () => number;
}

const QUIET_MS = 400;
const LONGEST_WAIT_MS = 1500;
const FIRST_RETRY_MS = 1000;
const LONGEST_RETRY_MS = 30_000;
const MAX_WRITES = 500;
/** Answers that say nothing about what was sent: the same is to be sent again. */
const saysNothing = (status: number) => status >= 500 || status === 408 || status === 429;
/** Refusals of exclusive images, whose regions depend on each other. */
const EXCLUSIVE = new Set(["overlap", "category_taken"]);

/** What the server answers to a patch. */
interface Saved {
  readonly revision: number;
  readonly regions: readonly SavedRegion[];
}

/** And to a submission. */
interface Handed {
  readonly annotation: number;
  readonly status: string;
}

/** `unsaved`: something still waits, the state says why. `unanswered`: it may have arrived. */
export type HandedIn = "submitted" | "unsaved" | "unanswered" | Refusal;

/**
 * The client of the save protocol for one image. Every finished gesture goes into the outbox first
 * and to the server soon after; nothing leaves the outbox before the server said that it has it.
 */
export class Autosave {
  private readonly queue: WriteQueue;
  private readonly listeners = new Set<(state: SaveState) => void>();
  private readonly waiting: (() => void)[] = [];
  private doc: Document | null = null;
  private unsubscribe: (() => void) | null = null;
  private annotation: number | null;
  private revision: number;
  private seconds = 0;
  /** Gestures on their way into the outbox. */
  private storing = 0;
  private chain: Promise<void> = Promise.resolve();
  private sending = false;
  private stopped = false;
  private offline = false;
  private loginExpired = false;
  private failure: SaveProblem | null = null;
  /** The key of a submission that was not answered yet. */
  private submission: string | null = null;
  private failures = 0;
  private limit = MAX_WRITES;
  private waitingSince: number | null = null;
  private cancelTimer: (() => void) | null = null;

  constructor(private readonly options: AutosaveOptions) {
    this.annotation = options.annotation;
    this.revision = options.revision;
    this.queue = new WriteQueue({ ...options, now: options.clock.now() });
    if (options.adopted.length > 0) this.schedule(0);
  }

  get state(): SaveState {
    const { entries, stored } = this.queue;
    const conflicts = entries.flatMap(({ conflict }) => conflict ?? []);
    const problems = entries.flatMap(({ problem }) => problem ?? []);
    if (this.failure) problems.unshift(this.failure);
    const pending = entries.length + this.storing;
    const status =
      (this.loginExpired && "login-expired") ||
      (conflicts.length > 0 && "conflict") ||
      (problems.length > 0 && "error") ||
      (pending === 0 && "saved") ||
      (this.offline && "offline") ||
      "saving";
    const { revision, annotation } = this;
    return { status, pending, conflicts, problems, stored, revision, annotation };
  }

  subscribe(listener: (state: SaveState) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** The regions as the person left them: the server's, with what still waits on top. */
  restored(regions: readonly StoredRegion[]): StoredRegion[] {
    return this.queue.restored(regions);
  }

  /** Dismissed proposals, with what still waits. */
  restoredDismissals(dismissed: readonly number[]): number[] {
    return this.queue.restoredDismissals(dismissed);
  }

  /** Saves what is changed in it from now on. */
  attach(doc: Document): void {
    this.doc = doc;
    for (const { id } of doc.proposals) if (isHandled(doc, id)) this.queue.marked.add(id);
    this.unsubscribe = doc.subscribe((change) => {
      if (change.final && change.origin === "edit") this.record(doc, change);
    });
  }

  /** Looks at the document no more; what waits is still sent. */
  detach(): void {
    this.unsubscribe?.();
    this.unsubscribe = null;
    this.doc = null;
  }

  /** Ends all sending after the request that is under way. What waits stays in the outbox. */
  async stop(): Promise<void> {
    this.detach();
    await this.chain;
    this.stopped = true;
    this.cancelTimer?.();
    while (this.sending) await this.nextState();
    this.publish();
  }

  /** Sends all that waits; resolves when saved, or when it cannot go on (look at the state). */
  async flush(): Promise<SaveState> {
    for (;;) {
      await this.chain;
      if (this.sending) await this.nextState();
      else await this.pump();
      if (this.stopped || this.state.status !== "saving") return this.state;
    }
  }

  /**
   * Saves what waits and hands the annotation in, in one request where what waits fits into it.
   * Where it is refused, what waits is saved all the same.
   */
  async submit(): Promise<HandedIn> {
    await this.chain;
    while (this.sending) await this.nextState();
    if (this.stopped || this.loginExpired || this.failure) return "unsaved";
    let batch = this.storing > 0 ? null : this.queue.all(this.limit);
    if (!batch) {
      if ((await this.flush()).status !== "saved") return "unsaved";
      batch = [];
    }
    this.submission ??= this.options.newUuid();
    const path = `/api/images/${this.options.scope.image}/patches`;
    this.sending = true;
    this.publish();
    let reply: SaveReply | null;
    try {
      reply = await this.post(path, batch, {
        submit: this.submission,
        revision: this.revision,
      });
      if (reply && reply.status < 300) {
        const { annotation, status, ...saved } = reply.body as Saved & Handed;
        this.annotation = annotation;
        this.submission = null;
        await this.saved(batch, saved);
        if (status !== "in_progress" && status !== "sent_back") return "submitted";
      }
    } finally {
      this.sending = false;
      this.publish();
    }
    if (!reply) return "unanswered";
    // An earlier request handed it in, and it was taken back meanwhile.
    if (reply.status < 300) return this.submit();
    return this.notSubmitted(reply, batch);
  }

  private async notSubmitted(reply: SaveReply, batch: readonly Queued[]): Promise<HandedIn> {
    const said = refusalOf(reply);
    if (saysNothing(reply.status)) {
      this.failed(reply.retryAfterSeconds ?? null);
      return "unanswered";
    }
    // Nothing was applied. Whatever is wrong with a write is found out when it is saved alone.
    this.submission = null;
    for (const entry of batch) release(entry);
    await this.queue.persist(batch, []);
    if (reply.status === 401) this.loginExpired = true;
    if ((await this.flush()).status !== "saved") return "unsaved";
    const aboutWrites = batch.length > 0 && said.field !== "revision" && reply.status !== 409;
    return aboutWrites ? this.submit() : said;
  }

  /** Gives up what waits. What the document shows is then not what the server has. */
  async discard(): Promise<void> {
    await this.chain;
    await this.queue.drop([...this.queue.entries]);
    this.failure = null;
    this.publish();
  }

  /** Goes on at once: after a new login of the same person, or when the network is back. */
  retry(): void {
    this.loginExpired = false;
    this.failure = null;
    this.failures = 0;
    for (const entry of this.queue.entries) entry.problem = null;
    this.schedule(0);
    this.publish();
  }

  /**
   * Ends a conflict with the version of this document. In exclusive projects regions depend on each
   * other, so it then holds for the whole image.
   */
  async keepMine(region: string): Promise<void> {
    const entry = this.queue.entries.find(({ conflict }) => conflict?.region === region);
    if (!entry?.conflict) return;
    if (this.options.scope.kind !== "instance" && this.doc) {
      const server = await this.fetchRegions();
      if (server) await this.replaceAll(this.doc, server);
    } else {
      entry.stored = { ...entry.stored, basedOn: entry.conflict.theirVersion };
      entry.insists = true;
      entry.conflict = null;
      await this.queue.persist([entry], []);
    }
    this.schedule(0);
    this.publish();
  }

  /** Ends a conflict with the server's version: of the region, or of the whole exclusive image. */
  async takeTheirs(region: string): Promise<void> {
    const entry = this.queue.entries.find(({ conflict }) => conflict?.region === region);
    if (!entry?.conflict) return;
    if (this.options.scope.kind === "instance") {
      const { theirs, theirVersion } = entry.conflict;
      await this.queue.drop(this.queue.entries.filter(({ stored }) => stored.target === region));
      this.queue.versions.set(region, theirVersion);
      if (this.doc) showTheirs(this.doc, new Map([[region, theirs]]));
    } else {
      const server = await this.fetchRegions();
      if (!server) return;
      const regionWrites = this.queue.entries.filter(
        ({ stored }) => typeof stored.target === "string",
      );
      await this.queue.drop(regionWrites);
      const theirs = new Map<string, StoredRegion | null>();
      for (const mine of this.doc?.regions ?? []) theirs.set(mine.uuid, null);
      for (const json of server) {
        theirs.set(json.uuid, regionFromWire(json));
        this.queue.versions.set(json.uuid, json.version);
      }
      if (this.doc) showTheirs(this.doc, theirs);
    }
    this.schedule(0);
    this.publish();
  }

  // --- from the document into the outbox -----------------------------------------------------------

  private record(doc: Document, change: Change): void {
    const snapshots = change.regions.map((uuid) => snapshot(doc, uuid));
    const marks = new Map(change.proposals.map((id) => [id, isHandled(doc, id)]));
    this.storing++;
    this.publish();
    this.chain = this.chain.then(async () => {
      const regions = await Promise.all(snapshots.map((one) => this.encoded(one)));
      await this.queue.add(new Map(snapshots.map(({ uuid }, i) => [uuid, regions[i]!])), marks);
      this.storing--;
      this.schedule(QUIET_MS);
      this.publish();
    });
  }

  private async encoded({ region, mask }: Snapshot): Promise<StoredRegion | null> {
    if (!region) return null;
    const { slot: _slot, bbox: _bbox, area: _area, geometry, ...fields } = region;
    if (geometry.type === "polygons") return { ...fields, geometry };
    const counts = await this.options.encode(mask!).catch(() => mask!.counts());
    return { ...fields, geometry: { type: "mask", counts } };
  }

  // --- from the outbox to the server ---------------------------------------------------------------

  private schedule(milliseconds: number): void {
    // While the server does not answer, only the time since it last did counts.
    if (this.stopped || (this.offline && this.cancelTimer && milliseconds > 0)) return;
    const now = this.options.clock.now();
    this.waitingSince ??= now;
    const latest = this.waitingSince + LONGEST_WAIT_MS - now;
    this.cancelTimer?.();
    this.cancelTimer = this.options.clock.after(Math.max(0, Math.min(milliseconds, latest)), () => {
      this.cancelTimer = null;
      void this.pump();
    });
  }

  private wait(milliseconds: number): void {
    this.cancelTimer?.();
    this.cancelTimer = this.options.clock.after(milliseconds, () => {
      this.cancelTimer = null;
      void this.pump();
    });
  }

  private async pump(): Promise<void> {
    if (this.sending || this.stopped || this.loginExpired || this.failure) {
      this.publish();
      return;
    }
    this.waitingSince = null;
    const { kind } = this.options.scope;
    // Regions of an exclusive image depend on each other.
    const undecided = kind !== "instance" && this.queue.entries.some(({ conflict }) => conflict);
    if (undecided || this.queue.batch(1).length === 0) {
      this.publish();
      return;
    }
    this.sending = true;
    this.publish();
    try {
      const batch = (await this.hasAnnotation()) ? this.queue.batch(this.limit) : [];
      if (batch.length > 0) await this.sendBatch(batch);
    } finally {
      this.sending = false;
    }
    this.publish();
  }

  /** Makes the annotation where there is none yet. */
  private async hasAnnotation(): Promise<boolean> {
    if (this.annotation !== null) return true;
    const path = `/api/images/${this.options.scope.image}/annotations`;
    const reply = await this.options.send("POST", path, {}).catch(() => null);
    if (!reply) this.failed(null);
    else if (reply.status >= 300) await this.refused(reply, [], []);
    else this.annotation = (reply.body as { id: number }).id;
    return this.annotation !== null;
  }

  private async sendBatch(batch: readonly Queued[]): Promise<void> {
    // The others may have arrived earlier, whatever is answered now.
    const fresh = batch.filter(({ stored }) => !stored.sent);
    const reply = await this.post(`/api/annotations/${this.annotation}/patches`, batch);
    if (reply && reply.status < 300) await this.saved(batch, reply.body as Saved);
    else if (reply) await this.refused(reply, batch, fresh);
  }

  /** The answer to a patch, null where none came. */
  private async post(path: string, batch: readonly Queued[], more = {}): Promise<SaveReply | null> {
    this.seconds += Math.round(this.options.takeSeconds?.() ?? 0);
    const { seconds } = this;
    try {
      for (const entry of batch) entry.stored = { ...entry.stored, sent: true };
      await this.queue.persist(batch, []);
      const writes = batch.map(({ stored }) => toWire(stored));
      const reply = await this.options.send("POST", path, { writes, seconds, ...more });
      if (reply.status < 300) this.seconds -= seconds;
      return reply;
    } catch {
      this.failed(null);
      return null;
    }
  }

  private async saved(batch: readonly Queued[], { revision, regions }: Saved): Promise<void> {
    this.revision = revision;
    this.offline = false;
    this.failures = 0;
    this.limit = MAX_WRITES;
    for (const { region, version } of regions) this.queue.versions.set(region, version);
    await this.queue.confirm(batch);
    if (this.queue.entries.length > 0) this.schedule(0);
  }

  /** No answer, or one that says nothing about the writes: the same again, later and later. */
  private failed(retryAfterSeconds: number | null): void {
    this.offline = true;
    const wait = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** this.failures++);
    this.wait(retryAfterSeconds === null ? wait : Math.max(wait, retryAfterSeconds * 1000));
  }

  private async refused(
    reply: SaveReply,
    batch: readonly Queued[],
    fresh: readonly Queued[],
  ): Promise<void> {
    const { status } = reply;
    if (saysNothing(status)) {
      this.failed(reply.retryAfterSeconds ?? null);
      return;
    }
    this.offline = false;
    this.failures = 0;
    // A refusal means that nothing was applied: what was sent only now may still change.
    for (const entry of fresh) release(entry);
    const dropped: Queued[] = [];
    const said = refusalOf(reply);
    if (status === 401) this.loginExpired = true;
    else if (status === 413 && batch.length > 1) this.limit = Math.ceil(batch.length / 2);
    else if (status === 412) this.stale(said, batch, dropped);
    else if (EXCLUSIVE.has(said.code)) await this.overlapping(said, batch);
    else if (!this.blame(status, said, batch, dropped)) {
      this.failure = problemOf(said, null);
    }
    await this.queue.persist(
      batch.filter((entry) => !dropped.includes(entry)),
      [],
    );
    await this.queue.drop(dropped);
    if (!this.loginExpired && !this.failure) this.schedule(0);
  }

  private stale(said: Refusal, batch: readonly Queued[], dropped: Queued[]): void {
    for (const { region, theirs } of said.conflicts) {
      const entry = batch.find(({ stored }) => stored.target === region);
      if (!entry) continue;
      const theirVersion = theirs?.version ?? 0;
      const gone = !theirs || theirs.deleted === true;
      release(entry);
      if (gone && entry.stored.op === "delete") {
        this.queue.versions.set(region, theirVersion);
        dropped.push(entry);
      } else if (entry.insists) {
        entry.stored = { ...entry.stored, basedOn: theirVersion };
      } else {
        entry.conflict = {
          region,
          mine: entry.stored.region,
          theirs: gone ? null : regionFromWire(theirs),
          theirVersion,
          author: authorOf(theirs),
        };
      }
    }
  }

  /** The server's regions have pixels or a category of ours: a conflict of those that it names. */
  private async overlapping(said: Refusal, batch: readonly Queued[]): Promise<void> {
    const server = (await this.fetchRegions()) ?? [];
    const named = batch.filter(({ stored }) => said.regions.includes(String(stored.target)));
    for (const entry of named.length > 0 ? named : batch) {
      const region = String(entry.stored.target);
      const other =
        server.find(({ uuid }) => uuid === region) ??
        server.find(({ uuid }) => said.regions.includes(uuid)) ??
        null;
      entry.conflict = {
        region,
        mine: entry.stored.region,
        theirs: other && regionFromWire(other),
        theirVersion: this.queue.version(region),
        author: authorOf(other),
      };
    }
  }

  /** Holds back the write that the refusal is about, so that the others go on. False: it is about none. */
  private blame(
    status: number,
    said: Refusal,
    batch: readonly Queued[],
    dropped: Queued[],
  ): boolean {
    if (status === 403 || status === 404) return false;
    const index = /^writes\[(\d+)\]/.exec(said.field)?.[1];
    const entry =
      batch.find(({ stored }) => said.region !== null && stored.target === said.region) ??
      (index === undefined ? undefined : batch[Number(index)]) ??
      (batch.length === 1 && status !== 409 ? batch[0] : undefined);
    if (entry) {
      if (status === 400) release(entry);
      // A proposal that is gone needs no mark.
      if (typeof entry.stored.target === "number") dropped.push(entry);
      else entry.problem = problemOf(said, entry.stored.target);
      return true;
    }
    if (status === 409 || batch.length < 2) return false;
    this.limit = 1;
    return true;
  }

  // --- the whole image -----------------------------------------------------------------------------

  private async fetchRegions(): Promise<WireRegion[] | null> {
    try {
      const reply = await this.options.send("GET", `/api/annotations/${this.annotation}`);
      if (reply.status === 200) return (reply.body as { regions: WireRegion[] }).regions;
      if (reply.status === 401) this.loginExpired = true;
    } catch {
      this.offline = true;
    }
    this.publish();
    return null;
  }

  /** Queues whatever makes the server's regions those of the document. */
  private async replaceAll(doc: Document, server: readonly WireRegion[]): Promise<void> {
    this.storing++;
    const snapshots = doc.regions.map(({ uuid }) => snapshot(doc, uuid));
    const mine = await Promise.all(snapshots.map((one) => this.encoded(one)));
    await this.queue.drop(
      this.queue.entries.filter(({ stored }) => typeof stored.target === "string"),
    );
    const left = new Map(server.map((json) => [json.uuid, json]));
    const entries: Queued[] = [];
    for (const region of mine) {
      if (!region) continue;
      const theirs = left.get(region.uuid);
      left.delete(region.uuid);
      if (theirs && sameRegion(region, regionFromWire(theirs))) {
        this.queue.versions.set(region.uuid, theirs.version);
        continue;
      }
      const basedOn = theirs?.version ?? this.queue.version(region.uuid);
      entries.push(this.queue.push("upsert", region.uuid, region, basedOn));
    }
    for (const { uuid, version } of left.values()) {
      entries.push(this.queue.push("delete", uuid, null, version));
    }
    for (const entry of entries) entry.insists = true;
    await this.queue.persist(entries, []);
    this.storing--;
  }

  private nextState(): Promise<void> {
    return new Promise((resolve) => this.waiting.push(resolve));
  }

  private publish(): void {
    const { state } = this;
    for (const resolve of this.waiting.splice(0)) resolve();
    for (const listener of [...this.listeners]) listener(state);
  }
}
