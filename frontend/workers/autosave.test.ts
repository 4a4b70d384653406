import { describe, expect, test } from "vitest";
import { newDocument } from "../core/testing";
import type { Proposal } from "../core/types";
import { Saver } from "./saver";
import { extend, newUuid, paint, SIZE, settle, World } from "./testing";

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
