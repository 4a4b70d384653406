import { describe, expect, test } from "vitest";
import { extend, paint, settle, World } from "./testing";

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
