import { expect } from "vitest";
import type { Document } from "../core/document";
import { newDocument, rectSpans } from "../core/testing";
import type { ProjectKind, Proposal, StoredRegion } from "../core/types";
import type { Autosave, Clock } from "./autosave";
import type { Outbox, PendingWrite } from "./outbox";
import { Saver, type Sessions } from "./saver";
import { regionFromWire, type SaveReply, type Send } from "./wire";

/**
 * Stand-ins for the tests of saving: time, the outbox, tabs, a server that keeps the protocol, and
 * pages that use all of them.
 */

export class FakeClock implements Clock {
  private time = 1_000_000;
  private timers: { at: number; call: () => void }[] = [];

  now(): number {
    return this.time;
  }

  after(milliseconds: number, call: () => void): () => void {
    const timer = { at: this.time + milliseconds, call };
    this.timers.push(timer);
    return () => {
      this.timers = this.timers.filter((one) => one !== timer);
    };
  }

  /** Lets time pass, and everything that waits for it happen. */
  async pass(milliseconds: number): Promise<void> {
    const end = this.time + milliseconds;
    for (;;) {
      await settle();
      const next = this.timers.sort((a, b) => a.at - b.at)[0];
      if (!next || next.at > end) break;
      this.time = Math.max(this.time, next.at);
      this.timers.shift();
      next.call();
    }
    this.time = end;
  }
}

export async function settle(): Promise<void> {
  for (let i = 0; i < 60; i++) await Promise.resolve();
}

export class MemoryOutbox implements Outbox {
  readonly writes = new Map<string, PendingWrite>();
  broken = false;

  async all(user: number): Promise<PendingWrite[]> {
    if (this.broken) throw new Error("no storage");
    const mine = [...this.writes.values()].filter(({ scope }) => scope.user === user);
    return mine.sort((a, b) => a.order - b.order);
  }

  async change(puts: readonly PendingWrite[], deletes: readonly string[]): Promise<void> {
    if (this.broken) throw new Error("no storage");
    for (const write of puts) this.writes.set(write.key, structuredClone(write));
    for (const key of deletes) this.writes.delete(key);
  }
}

/** Tabs of one browser; `kill` ends one without a word. */
export class FakeTabs {
  readonly held = new Set<string>();

  tab(): Sessions & { kill: () => void } {
    const own = new Set<string>();
    return {
      hold: async (session) => {
        own.add(session);
        this.held.add(session);
        return () => this.held.delete(session);
      },
      alive: async () => new Set(this.held),
      exclusive: (task) => task(),
      kill: () => {
        for (const session of own) this.held.delete(session);
      },
    };
  }
}

interface ServerRegion {
  uuid: string;
  version: number;
  deleted: boolean;
  body: WireWrite;
}

interface WireWrite {
  op: string;
  region: string;
  based_on: number;
  key: string;
  category: number;
  proposal: number;
  mask?: { size: [number, number]; counts: string };
  polygons?: number[][][];
}

interface WirePatch {
  writes: WireWrite[];
  submit?: string;
  revision: number;
}

type Fault = "lose request" | "lose reply" | "500" | "401" | "413" | "429";

/** Keeps the save protocol of docs/architecture.md for one annotation. */
export class FakeServer {
  readonly regions = new Map<string, ServerRegion>();
  readonly dismissed = new Set<number>();
  readonly keys = new Map<string, { region: string; version: number; deleted: boolean }>();
  readonly patches: WireWrite[][] = [];
  revision = 0;
  annotation: number | null = 7;
  /** What goes wrong with the next requests, in turn. */
  faults: Fault[] = [];
  online = true;
  loggedIn = true;
  editable = true;
  /** Regions that are refused with 400. */
  bad = new Set<string>();
  /** Whether a 400 says which region it is about. */
  names = true;
  /** Pairs of regions that may not both be there. */
  overlaps: [string, string][] = [];
  submitted = false;
  /** Keys of submissions. */
  readonly submissions = new Set<string>();
  /** Whether a region lacks what it needs to be submitted. */
  lacking = false;

  get live(): string[] {
    return [...this.regions.values()]
      .filter(({ deleted }) => !deleted)
      .map(({ uuid }) => uuid)
      .sort();
  }

  readonly send: Send = async (method, path, body) => {
    await Promise.resolve();
    const fault = this.faults.shift();
    if (!this.online || fault === "lose request") throw new TypeError("Failed to fetch");
    if (fault === "500") return reply(503, {});
    if (fault === "429") return { ...reply(429, {}), retryAfterSeconds: 5 };
    if (fault === "401" || !this.loggedIn)
      return reply(401, { code: "not_authenticated", detail: "Log in." });
    if (fault === "413") return reply(413, { code: "too_large", detail: "Too large." });
    const answer = this.answer(method, path, body);
    if (fault === "lose reply") throw new TypeError("Failed to fetch");
    return structuredClone(answer);
  };

  /** As another tab or device writes. */
  write(uuid: string, change: Partial<WireWrite> | null): void {
    const old = this.regions.get(uuid);
    const body = { ...old?.body, ...change } as WireWrite;
    this.regions.set(uuid, {
      uuid,
      version: (old?.version ?? 0) + 1,
      deleted: change === null,
      body,
    });
    this.revision++;
  }

  json(uuid: string) {
    const { version, deleted, body } = this.regions.get(uuid)!;
    return { ...body, uuid, version, deleted, author: "colleague" };
  }

  private answer(method: string, path: string, body: unknown): SaveReply {
    if (method === "GET") return reply(200, { regions: this.live.map((uuid) => this.json(uuid)) });
    if (path.endsWith("/annotations")) {
      this.annotation ??= 7;
      return reply(201, { id: this.annotation });
    }
    const { writes, submit, revision } = body as WirePatch;
    this.patches.push(writes);
    const regionWrites = writes.filter(({ op }) => op === "upsert" || op === "delete");
    const fresh = regionWrites.filter(({ key }) => !this.keys.has(key));
    for (const [i, { region }] of writes.entries()) {
      if (!this.bad.has(region)) continue;
      const named = this.names ? { field: `writes[${i}].mask`, region } : { field: "" };
      return reply(400, { code: "invalid", detail: "Bad mask.", hint: "", ...named });
    }
    const stale = fresh.filter(
      ({ region, based_on }) => based_on !== (this.regions.get(region)?.version ?? 0),
    );
    if (stale.length > 0) {
      const conflicts = stale.map((mine) => ({
        region: mine.region,
        mine,
        theirs: this.regions.has(mine.region) ? this.json(mine.region) : null,
      }));
      return reply(412, {
        code: "stale",
        detail: "Changed since.",
        field: "",
        hint: "",
        conflicts,
      });
    }
    const after = new Set(this.live);
    for (const { op, region } of fresh) {
      if (op === "upsert") after.add(region);
      else after.delete(region);
    }
    const pair = this.overlaps.find(([a, b]) => after.has(a) && after.has(b));
    if (pair)
      return reply(409, {
        code: "overlap",
        detail: "Shared pixels.",
        field: "writes[0].mask",
        regions: pair,
      });
    if (fresh.length > 0 && (!this.editable || this.submitted))
      return reply(409, { code: "not_editable", detail: "It is submitted.", field: "" });
    if (submit && !this.submissions.has(submit)) {
      const repeated = regionWrites.length - fresh.length;
      if (this.revision !== revision + repeated)
        return reply(412, { code: "stale", detail: "Another revision.", field: "revision" });
      if (this.lacking)
        return reply(409, { code: "attributes_missing", detail: "It lacks a side.", field: "" });
      this.submissions.add(submit);
      this.submitted = true;
    }
    this.annotation ??= 7;
    for (const write of fresh) {
      const version = (this.regions.get(write.region)?.version ?? 0) + 1;
      const deleted = write.op === "delete";
      this.regions.set(write.region, { uuid: write.region, version, deleted, body: write });
      this.keys.set(write.key, { region: write.region, version, deleted });
      this.revision++;
    }
    for (const { op, proposal } of writes) {
      if (op === "dismiss") this.dismissed.add(proposal);
      if (op === "restore") this.dismissed.delete(proposal);
    }
    return reply(200, {
      annotation: this.annotation,
      status: this.submitted ? "submitted" : "in_progress",
      revision: this.revision,
      regions: regionWrites.map(({ key }) => ({ ...this.keys.get(key)!, area: 1 })),
    });
  }
}

function reply(status: number, body: unknown): SaveReply {
  return { status, body };
}

/** What the server holds of a region, in our words. */
export function storedOn(
  server: FakeServer,
  uuid: string,
): Pick<StoredRegion, "categoryId" | "geometry"> {
  const { body } = server.regions.get(uuid)!;
  return {
    categoryId: body.category,
    geometry: body.mask
      ? { type: "mask", counts: body.mask.counts }
      : { type: "polygons", polygons: body.polygons! as never },
  };
}

export const SIZE = { width: 200, height: 150 };
let uuids = 0;
export const newUuid = () => `00000000-0000-4000-8000-${String(++uuids).padStart(12, "0")}`;

export class World {
  readonly clock = new FakeClock();
  readonly outbox = new MemoryOutbox();
  readonly server = new FakeServer();
  readonly tabs = new FakeTabs();

  /** A page that opened the image, as the editor does. */
  async open(kind: ProjectKind = "instance", proposals: Proposal[] = []) {
    const sessions = this.tabs.tab();
    const saver = new Saver({
      user: 3,
      outbox: this.outbox,
      send: (method, path, body) =>
        dead ? new Promise(() => undefined) : this.server.send(method, path, body),
      clock: this.clock,
      sessions,
      newUuid,
      encode: async (mask) => mask.counts(),
    });
    let dead = false;
    await saver.settle(5);
    const workspace = this.server.live.map((uuid) => this.server.json(uuid));
    const autosave = await saver.open({
      scope: { image: 5, kind, size: SIZE },
      annotation: this.server.annotation,
      revision: this.server.revision,
      versions: new Map(workspace.map(({ uuid, version }) => [uuid, version])),
    });
    const doc = newDocument({
      kind,
      proposals,
      newUuid,
      regions: autosave.restored(workspace.map((json) => regionFromWire(json as never))),
      dismissed: autosave.restoredDismissals([...this.server.dismissed]),
    });
    autosave.attach(doc);
    const kill = () => {
      dead = true;
      void autosave.stop();
      sessions.kill();
    };
    return { saver, autosave, doc, kill };
  }

  pass(milliseconds = 3000): Promise<void> {
    return this.clock.pass(milliseconds);
  }

  /** Whether the server has exactly the regions of the document. */
  expectSaved(doc: Document, autosave: Autosave): void {
    expect(autosave.state).toMatchObject({ status: "saved", pending: 0 });
    expect(this.outbox.writes.size).toBe(0);
    expect(this.server.live).toEqual(doc.regions.map(({ uuid }) => uuid).sort());
    for (const { uuid } of doc.regions) {
      const { categoryId, geometry } = doc.stored(uuid)!;
      expect(storedOn(this.server, uuid)).toEqual({ categoryId, geometry });
    }
  }
}

export function paint(doc: Document, x: number, categoryId = 10, side = 10): string {
  return doc.edit("paint", (gesture) => {
    const { uuid } = doc.only(categoryId) ?? gesture.add({ categoryId, source: "brush" });
    gesture.paint(uuid, rectSpans(SIZE, { x, y: 20, width: side, height: side }));
    return uuid;
  });
}

export function extend(doc: Document, uuid: string, x: number): void {
  doc.edit("extend", (gesture) =>
    gesture.paint(uuid, rectSpans(SIZE, { x, y: 40, width: 5, height: 5 })),
  );
}
