import type { StoredRegion } from "../core/types";
import type { Clock } from "./autosave";
import type { Outbox, PendingWrite } from "./outbox";
import type { Sessions } from "./saver";
import type { SaveReply, Send } from "./wire";

/** Stand-ins for the tests of saving: time, the outbox, tabs, and a server that keeps the protocol. */

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
    if (path.startsWith("/api/images/")) {
      this.annotation ??= 7;
      return reply(201, { id: this.annotation });
    }
    const { writes } = body as { writes: WireWrite[] };
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
    if (!this.editable)
      return reply(409, { code: "not_editable", detail: "It is submitted.", field: "" });
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
