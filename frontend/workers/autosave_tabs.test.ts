import { describe, expect, test } from "vitest";
import { newDocument } from "../core/testing";
import type { ProjectKind } from "../core/types";
import { Saver } from "./saver";
import { extend, newUuid, paint, settle, storedOn, World } from "./testing";

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
