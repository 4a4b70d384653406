import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Document } from "../core/document";
import { newDocument, rectSpans } from "../core/testing";
import type { ProjectKind, Proposal } from "../core/types";
import type { Autosave } from "./autosave";
import { Saver } from "./saver";
import { FakeClock, FakeServer, FakeTabs, MemoryOutbox, settle, storedOn } from "./testing";
import { regionFromWire } from "./wire";

const SIZE = { width: 200, height: 150 };
let uuids = 0;
const newUuid = () => `00000000-0000-4000-8000-${String(++uuids).padStart(12, "0")}`;

class World {
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

function paint(doc: Document, x: number, categoryId = 10, side = 10): string {
  return doc.edit("paint", (gesture) => {
    const { uuid } = doc.only(categoryId) ?? gesture.add({ categoryId, source: "brush" });
    gesture.paint(uuid, rectSpans(SIZE, { x, y: 20, width: side, height: side }));
    return uuid;
  });
}

function extend(doc: Document, uuid: string, x: number): void {
  doc.edit("extend", (gesture) =>
    gesture.paint(uuid, rectSpans(SIZE, { x, y: 40, width: 5, height: 5 })),
  );
}

describe("what is drawn", () => {
  test("is in the outbox at once and on the server within 2 s, and only then saved", async () => {
    const world = new World();
    const { doc, autosave } = await world.open();
    paint(doc, 10);
    expect(autosave.state.status).toBe("saving");
    await settle();
    expect(world.outbox.writes.size).toBe(1);
    expect(world.server.live).toHaveLength(0);
    await world.pass(500);
    world.expectSaved(doc, autosave);
  });

  test("without a pause it is sent every 2 s at the latest", async () => {
    const world = new World();
    const { doc } = await world.open();
    for (let i = 0; i < 10; i++) {
      paint(doc, i * 12);
      await world.pass(250);
    }
    expect(world.server.patches.length).toBeGreaterThan(0);
  });

  test("makes the annotation where there is none", async () => {
    const world = new World();
    world.server.annotation = null;
    const { doc, autosave } = await world.open();
    paint(doc, 10);
    await world.pass();
    expect(autosave.state.annotation).toBe(7);
    world.expectSaved(doc, autosave);
  });

  test("what is undone while the annotation is being made is not sent", async () => {
    const world = new World();
    world.server.annotation = null;
    const { doc, autosave } = await world.open();
    const { send } = world.server;
    Object.assign(world.server, {
      send: async (...args: Parameters<typeof send>) => {
        const answer = await send(...args);
        if (args[1].startsWith("/api/images/")) doc.undo();
        await settle();
        return answer;
      },
    });
    paint(doc, 10);
    await world.pass();
    expect(world.server.patches).toHaveLength(0);
    world.expectSaved(doc, autosave);
  });

  test("a refusal to make the annotation stops, and is told", async () => {
    const world = new World();
    world.server.annotation = null;
    const { doc, autosave } = await world.open();
    Object.assign(world.server, {
      send: async () => ({
        status: 403,
        body: { code: "forbidden", detail: "You may only look." },
      }),
    });
    paint(doc, 10);
    await world.pass();
    expect(autosave.state).toMatchObject({
      status: "error",
      pending: 1,
      problems: [{ region: null, detail: "You may only look." }],
    });
  });

  test("later changes of a region are one write until it is sent", async () => {
    const world = new World();
    const { doc, autosave } = await world.open();
    const uuid = paint(doc, 10);
    extend(doc, uuid, 10);
    extend(doc, uuid, 60);
    await world.pass();
    expect(world.server.patches.map((writes) => writes.length)).toEqual([1]);
    expect(world.server.regions.get(uuid)!.version).toBe(1);
    world.expectSaved(doc, autosave);
  });

  test("drawn and undone before it was sent is nothing", async () => {
    const world = new World();
    const { doc, autosave } = await world.open();
    paint(doc, 10);
    doc.undo();
    await world.pass();
    expect(world.server.patches).toHaveLength(0);
    world.expectSaved(doc, autosave);
  });

  test("deleted, and back by undo, it goes on from the tombstone", async () => {
    const world = new World();
    const { doc, autosave } = await world.open();
    const uuid = paint(doc, 10);
    await world.pass();
    doc.edit("delete", (gesture) => gesture.remove(uuid));
    await world.pass();
    expect(world.server.live).toEqual([]);
    doc.undo();
    await world.pass();
    expect(world.server.regions.get(uuid)!.version).toBe(3);
    world.expectSaved(doc, autosave);
  });

  test("an exclusive gesture that touches two regions is one patch", async () => {
    const world = new World();
    const { doc, autosave } = await world.open("semantic");
    paint(doc, 10, 1, 20);
    await world.pass();
    paint(doc, 20, 2, 20);
    await world.pass();
    expect(world.server.patches.map((writes) => writes.length)).toEqual([1, 2]);
    world.expectSaved(doc, autosave);
  });

  test("active seconds are sent along", async () => {
    const world = new World();
    const bodies: unknown[] = [];
    const { send } = world.server;
    const saver = new Saver({
      user: 3,
      outbox: world.outbox,
      send: (method, path, body) => {
        bodies.push(body);
        return send(method, path, body);
      },
      clock: world.clock,
      sessions: world.tabs.tab(),
      newUuid,
      encode: async (mask) => mask.counts(),
    });
    const autosave = await saver.open({
      scope: { image: 5, kind: "instance", size: SIZE },
      annotation: 7,
      revision: 0,
      versions: new Map(),
      takeSeconds: () => 12,
    });
    const doc = newDocument({ kind: "instance", newUuid });
    autosave.attach(doc);
    paint(doc, 10);
    await world.pass();
    expect(bodies).toMatchObject([{ seconds: 12 }]);
  });
});

describe("when the network or the server fails", () => {
  test("a lost reply doubles nothing: the same write is repeated under its key", async () => {
    const world = new World();
    const { doc, autosave } = await world.open();
    world.server.faults = ["lose reply"];
    const uuid = paint(doc, 10);
    await world.pass(600);
    expect(autosave.state.status).toBe("offline");
    extend(doc, uuid, 60);
    await world.pass(5000);
    const keys = world.server.patches.map((writes) => writes.map(({ key }) => key));
    expect(keys[1]).toEqual(keys[0]);
    expect(world.server.regions.get(uuid)!.version).toBe(2);
    world.expectSaved(doc, autosave);
  });

  test("a write that may have arrived is not forgotten when it is refused later", async () => {
    const world = new World();
    const { doc, autosave } = await world.open();
    world.server.faults = ["lose reply", "401"];
    const uuid = paint(doc, 10);
    await world.pass();
    expect(autosave.state.status).toBe("login-expired");
    doc.edit("delete", (gesture) => gesture.remove(uuid));
    autosave.retry();
    await world.pass();
    expect(world.server.live).toEqual([]);
    world.expectSaved(doc, autosave);
  });

  test("what is drawn while a request is under way goes into a write of its own", async () => {
    const world = new World();
    const { doc, autosave } = await world.open();
    const uuid = paint(doc, 10);
    const { send } = world.server;
    let once = true;
    Object.assign(world.server, {
      send: async (...args: Parameters<typeof send>) => {
        const answer = await send(...args);
        if (once) {
          once = false;
          extend(doc, uuid, 80);
          await settle();
        }
        return answer;
      },
    });
    await world.pass();
    expect(world.server.patches).toHaveLength(2);
    expect(world.server.patches[1]![0]!.based_on).toBe(1);
    world.expectSaved(doc, autosave);
  });

  test("offline it keeps everything, tries less and less often, and sends when it is back", async () => {
    const world = new World();
    const { doc, autosave } = await world.open();
    world.server.online = false;
    let requests = 0;
    const { send } = world.server;
    Object.assign(world.server, {
      send: (...args: Parameters<typeof send>) => {
        requests++;
        return send(...args);
      },
    });
    for (let i = 0; i < 5; i++) paint(doc, 10 + i * 20);
    await world.pass(600_000);
    expect(autosave.state).toMatchObject({ status: "offline", pending: 5 });
    expect(requests).toBeLessThan(30);
    expect(world.outbox.writes.size).toBe(5);
    world.server.online = true;
    autosave.retry();
    await world.pass(1000);
    world.expectSaved(doc, autosave);
  });

  test("a server that is busy is asked again after the time it names", async () => {
    const world = new World();
    const { doc, autosave } = await world.open();
    world.server.faults = ["429", "500"];
    paint(doc, 10);
    await world.pass(4000);
    expect(autosave.state.status).toBe("offline");
    await world.pass(10_000);
    world.expectSaved(doc, autosave);
  });

  test("an expired login keeps everything until the person is back", async () => {
    const world = new World();
    const { doc, autosave } = await world.open();
    world.server.loggedIn = false;
    paint(doc, 10);
    await world.pass();
    expect(autosave.state).toMatchObject({ status: "login-expired", pending: 1 });
    paint(doc, 40);
    await world.pass(60_000);
    expect(world.outbox.writes.size).toBe(2);
    world.server.loggedIn = true;
    autosave.retry();
    await world.pass();
    world.expectSaved(doc, autosave);
  });

  test("a browser that cannot store says so and still sends", async () => {
    const world = new World();
    const { doc, autosave } = await world.open();
    world.outbox.broken = true;
    world.server.online = false;
    paint(doc, 10);
    await world.pass();
    expect(autosave.state).toMatchObject({ status: "offline", stored: false, pending: 1 });
    world.server.online = true;
    await world.pass(60_000);
    expect(world.server.live).toHaveLength(1);
    expect(autosave.state.status).toBe("saved");
  });

  test("a patch that is too large is split", async () => {
    const world = new World();
    const { doc, autosave } = await world.open();
    world.server.faults = ["413"];
    for (let i = 0; i < 4; i++) paint(doc, 10 + i * 20);
    await world.pass();
    expect(world.server.patches[0]).toHaveLength(2);
    world.expectSaved(doc, autosave);
  });
});

describe("refusals", () => {
  test.each([true, false])(
    "one bad region does not hold the others back (named: %s)",
    async (names) => {
      const world = new World();
      const { doc, autosave } = await world.open();
      world.server.names = names;
      const [a, bad, c] = [paint(doc, 10), paint(doc, 40), paint(doc, 70)];
      world.server.bad.add(bad);
      await world.pass();
      expect(world.server.live).toEqual([a, c].sort());
      expect(autosave.state).toMatchObject({
        status: "error",
        pending: 1,
        problems: [{ region: bad, code: "invalid", detail: "Bad mask." }],
      });
      world.server.bad.clear();
      extend(doc, bad, 100);
      await world.pass();
      world.expectSaved(doc, autosave);
    },
  );

  test("a refused region that is deleted again is no problem any more", async () => {
    const world = new World();
    const { doc, autosave } = await world.open();
    const bad = paint(doc, 40);
    world.server.bad.add(bad);
    await world.pass();
    doc.edit("delete", (gesture) => gesture.remove(bad));
    await world.pass();
    world.expectSaved(doc, autosave);
  });

  test("an annotation that may not be edited any more stops, and keeps what waits", async () => {
    const world = new World();
    const { doc, autosave } = await world.open();
    world.server.editable = false;
    paint(doc, 10);
    await world.pass(60_000);
    expect(autosave.state).toMatchObject({
      status: "error",
      pending: 1,
      problems: [{ region: null, code: "not_editable" }],
    });
    expect(world.server.patches).toHaveLength(1);
    world.server.editable = true;
    autosave.retry();
    await world.pass();
    world.expectSaved(doc, autosave);
  });
});

describe("conflicts", () => {
  async function conflict(kind: ProjectKind) {
    const world = new World();
    const tab = await world.open(kind);
    const uuid = paint(tab.doc, 10, 10, 20);
    await world.pass();
    const other = world.server.regions.get(uuid)!.body;
    const theirs = newDocument({ kind, newUuid });
    const theirUuid = paint(theirs, 100, 10, 8);
    const counts = theirs.mask(theirUuid).counts();
    world.server.write(uuid, { ...other, mask: { size: [150, 200], counts } });
    extend(tab.doc, uuid, 60);
    const free = paint(tab.doc, 150, 11);
    await world.pass();
    expect(tab.autosave.state).toMatchObject({
      status: "conflict",
      conflicts: [{ region: uuid, theirVersion: 2, author: "colleague" }],
    });
    const [shown] = tab.autosave.state.conflicts;
    expect(shown!.theirs!.geometry).toEqual({ type: "mask", counts });
    expect(shown!.mine).toEqual(tab.doc.stored(uuid));
    return { world, ...tab, uuid, free, counts };
  }

  test.each(["instance", "semantic", "panoptic"] as const)("%s: mine", async (kind) => {
    const { world, autosave, doc, uuid } = await conflict(kind);
    const mine = doc.mask(uuid).counts();
    await autosave.keepMine(uuid);
    await world.pass();
    world.expectSaved(doc, autosave);
    expect(doc.mask(uuid).counts()).toBe(mine);
  });

  test.each(["instance", "semantic", "panoptic"] as const)("%s: theirs", async (kind) => {
    const { world, autosave, doc, uuid, counts } = await conflict(kind);
    await autosave.takeTheirs(uuid);
    await world.pass();
    expect(doc.mask(uuid).counts()).toBe(counts);
    world.expectSaved(doc, autosave);
    doc.undo();
    await world.pass();
    world.expectSaved(doc, autosave);
    expect(doc.mask(uuid).counts()).not.toBe(counts);
  });

  test("instance: the other regions go on, the conflict follows further changes", async () => {
    const { world, autosave, doc, uuid, free } = await conflict("instance");
    expect(world.server.live).toContain(free);
    extend(doc, uuid, 120);
    await world.pass();
    expect(autosave.state.conflicts[0]!.mine).toEqual(doc.stored(uuid));
    await autosave.keepMine(uuid);
    await world.pass();
    world.expectSaved(doc, autosave);
  });

  test("exclusive: nothing is sent until it is decided", async () => {
    const { world, free } = await conflict("semantic");
    expect(world.server.live).not.toContain(free);
  });

  test("deleted there, changed here: mine brings it back, theirs takes it away", async () => {
    for (const keep of [true, false]) {
      const world = new World();
      const { doc, autosave } = await world.open();
      const uuid = paint(doc, 10);
      await world.pass();
      world.server.write(uuid, null);
      extend(doc, uuid, 60);
      await world.pass();
      expect(autosave.state.conflicts).toMatchObject([{ region: uuid, theirs: null }]);
      await (keep ? autosave.keepMine(uuid) : autosave.takeTheirs(uuid));
      await world.pass();
      world.expectSaved(doc, autosave);
      expect(doc.regions).toHaveLength(keep ? 1 : 0);
    }
  });

  test("deleted on both sides is none", async () => {
    const world = new World();
    const { doc, autosave } = await world.open();
    const uuid = paint(doc, 10);
    await world.pass();
    world.server.write(uuid, null);
    doc.edit("delete", (gesture) => gesture.remove(uuid));
    await world.pass();
    world.expectSaved(doc, autosave);
  });

  test("pixels that somebody else labeled meanwhile are shown as a conflict", async () => {
    const world = new World();
    const { doc, autosave } = await world.open("semantic");
    world.server.write("other", {
      category: 2,
      mask: { size: [150, 200], counts: doc.size ? "`Zd0" : "" },
    });
    const uuid = paint(doc, 10, 1);
    world.server.overlaps = [[uuid, "other"]];
    await world.pass();
    expect(autosave.state.conflicts).toMatchObject([{ region: uuid, theirs: { uuid: "other" } }]);
    await autosave.keepMine(uuid);
    await world.pass();
    expect(world.server.live).toEqual([uuid]);
    world.expectSaved(doc, autosave);
  });
});

describe("tabs", () => {
  test("killed between storing and sending: the next one sends it", async () => {
    const world = new World();
    const first = await world.open();
    const uuid = paint(first.doc, 10);
    await settle();
    first.kill();
    const second = await world.open();
    expect(second.doc.region(uuid)).not.toBeNull();
    await world.pass();
    world.expectSaved(second.doc, second.autosave);
  });

  test("killed between sending and the reply: nothing is doubled", async () => {
    const world = new World();
    const first = await world.open();
    world.server.faults = ["lose reply"];
    const uuid = paint(first.doc, 10);
    await world.pass(600);
    extend(first.doc, uuid, 60);
    await settle();
    first.kill();
    const second = await world.open();
    expect(second.doc.mask(uuid).counts()).toBe(first.doc.mask(uuid).counts());
    await world.pass();
    expect(world.server.regions.get(uuid)!.version).toBe(2);
    world.expectSaved(second.doc, second.autosave);
  });

  test("two tabs on one image: each sends its own, a change of both is a conflict", async () => {
    const world = new World();
    const one = await world.open();
    const uuid = paint(one.doc, 10);
    await world.pass();
    const two = await world.open();
    extend(one.doc, uuid, 60);
    const mine = paint(two.doc, 100);
    await world.pass();
    expect(world.server.live.sort()).toEqual([uuid, mine].sort());
    extend(two.doc, uuid, 90);
    await world.pass();
    expect(one.autosave.state.status).toBe("saved");
    expect(two.autosave.state.conflicts).toMatchObject([{ region: uuid }]);
    await two.autosave.keepMine(uuid);
    await world.pass();
    expect(storedOn(world.server, uuid).geometry).toEqual(two.doc.stored(uuid)!.geometry);
    expect(world.outbox.writes.size).toBe(0);
  });

  test("a tab that lives keeps its own writes", async () => {
    const world = new World();
    const one = await world.open();
    world.server.online = false;
    paint(one.doc, 10);
    await world.pass(1000);
    const two = await world.open();
    expect(two.autosave.state.pending).toBe(0);
    expect(one.autosave.state.pending).toBe(1);
    world.server.online = true;
    one.saver.retry();
    await world.pass();
    world.expectSaved(one.doc, one.autosave);
  });

  test("leaving the image offline and coming back shows and sends what waited", async () => {
    const world = new World();
    const { saver, autosave, doc } = await world.open();
    world.server.online = false;
    const uuid = paint(doc, 10);
    saver.close(autosave);
    await world.pass(5000);
    await saver.settle(5);
    expect(world.outbox.writes.size).toBe(1);
    const again = await world.open();
    expect(again.doc.region(uuid)).not.toBeNull();
    world.server.online = true;
    await world.pass(60_000);
    world.expectSaved(again.doc, again.autosave);
  });

  test("after leaving an image its work is still sent", async () => {
    const world = new World();
    const { saver, autosave, doc } = await world.open();
    world.server.online = false;
    paint(doc, 10);
    saver.close(autosave);
    await world.pass(5000);
    world.server.online = true;
    await world.pass(60_000);
    expect(world.server.live).toHaveLength(1);
    expect(world.outbox.writes.size).toBe(0);
    expect(world.tabs.held.size).toBe(0);
  });

  test("a page that opens another image sends what a dead tab left", async () => {
    const world = new World();
    const first = await world.open();
    paint(first.doc, 10);
    await settle();
    first.kill();
    const saver = new Saver({
      user: 3,
      outbox: world.outbox,
      send: world.server.send,
      clock: world.clock,
      sessions: world.tabs.tab(),
      newUuid,
      encode: async (mask) => mask.counts(),
    });
    await saver.sweep();
    await world.pass();
    expect(world.server.live).toHaveLength(1);
    expect(world.outbox.writes.size).toBe(0);
    expect(world.tabs.held.size).toBe(0);
  });
});

describe("proposals", () => {
  const proposals: Proposal[] = [1, 2].map((id) => ({
    id,
    categoryId: 1,
    geometry: { type: "polygons", polygons: [[[id * 40, 10, id * 40 + 20, 10, id * 40 + 20, 40]]] },
    bbox: { x: 0, y: 0, width: 1, height: 1 },
    score: 1,
    isCrowd: false,
    model: "test",
  }));

  test("dismissals and their undo are saved", async () => {
    const world = new World();
    const { doc, autosave } = await world.open("instance", proposals);
    doc.edit("dismiss", (gesture) => gesture.dismissProposal(1));
    await world.pass();
    expect([...world.server.dismissed]).toEqual([1]);
    doc.undo();
    await world.pass();
    expect([...world.server.dismissed]).toEqual([]);
    expect(autosave.state.status).toBe("saved");
  });

  test("dismissed earlier, restored now", async () => {
    const world = new World();
    world.server.dismissed.add(2);
    const { doc } = await world.open("instance", proposals);
    expect(doc.proposalState(2)).toBe("dismissed");
    doc.edit("restore", (gesture) => gesture.restoreProposal(2));
    await world.pass();
    expect([...world.server.dismissed]).toEqual([]);
  });

  test("one that was merged into its category's region is not offered again", async () => {
    const world = new World();
    const { doc } = await world.open("semantic", proposals);
    doc.edit("accept", (gesture) => gesture.acceptProposal(1));
    doc.edit("accept", (gesture) => gesture.acceptProposal(2));
    await world.pass();
    const again = await world.open("semantic", proposals);
    expect(again.doc.proposalState(1)).not.toBe("open");
    expect(again.doc.proposalState(2)).not.toBe("open");
  });
});

describe("whatever goes wrong", () => {
  const kinds = fc.constantFrom<ProjectKind>("instance", "semantic", "panoptic");
  const fault = fc.constantFrom("lose request", "lose reply", "500", "401", "413", "429" as const);
  const act = fc.record({
    do: fc.constantFrom("paint", "extend", "remove", "undo", "redo", "kill" as const),
    which: fc.nat(5),
    faults: fc.array(fault, { maxLength: 3 }),
    pause: fc.constantFrom(0, 100, 600, 3000),
  });

  test("in the end the server has what the document shows, once", async () => {
    await fc.assert(
      fc.asyncProperty(
        kinds,
        fc.array(act, { minLength: 1, maxLength: 12 }),
        async (kind, acts) => {
          const world = new World();
          let page = await world.open(kind);
          for (const { do: what, which, faults, pause } of acts) {
            const { doc } = page;
            world.server.faults = [...faults] as FakeServer["faults"];
            const region = doc.regions[which % Math.max(1, doc.regions.length)];
            if (what === "paint") paint(doc, which * 15, kind === "semantic" ? which + 1 : 10);
            if (what === "extend" && region) extend(doc, region.uuid, which * 30);
            if (what === "remove" && region)
              doc.edit("remove", (gesture) => gesture.remove(region.uuid));
            if (what === "undo") doc.undo();
            if (what === "redo") doc.redo();
            if (what === "kill") {
              await settle();
              const before = doc.regions.map(({ uuid }) => doc.stored(uuid));
              page.kill();
              world.server.faults = [];
              page = await world.open(kind);
              const after = page.doc.regions.map(({ uuid }) => page.doc.stored(uuid));
              expect(new Set(after.map((one) => JSON.stringify(one?.geometry)))).toEqual(
                new Set(before.map((one) => JSON.stringify(one?.geometry))),
              );
            }
            await world.pass(pause);
            page.autosave.retry();
          }
          world.server.faults = [];
          page.autosave.retry();
          await world.pass(120_000);
          world.expectSaved(page.doc, page.autosave);
          // Every version is one write of ours: nothing was applied twice.
          const versions = [...world.server.regions.values()].reduce(
            (sum, { version }) => sum + version,
            0,
          );
          expect(world.server.keys.size).toBe(versions);
        },
      ),
      { numRuns: 150 },
    );
  });
});
