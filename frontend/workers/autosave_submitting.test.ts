import { describe, expect, test } from "vitest";
import { extend, paint, World } from "./testing";
import type { Refusal } from "./wire";

/** What was asked for, without looking at regions. */
function requests(world: World): string[] {
  const asked: string[] = [];
  const { send } = world.server;
  Object.assign(world.server, {
    send: (...request: Parameters<typeof send>) => {
      asked.push(request[1]);
      return send(...request);
    },
  });
  return asked;
}

describe("submitting", () => {
  test("one request begins, saves and submits", async () => {
    const world = new World();
    world.server.annotation = null;
    const asked = requests(world);
    const { doc, autosave } = await world.open();
    paint(doc, 10);
    paint(doc, 40);
    expect(await autosave.submit()).toBe("submitted");
    expect(asked).toEqual(["/api/images/5/patches"]);
    expect(autosave.state).toMatchObject({ annotation: 7, revision: 2 });
    world.expectSaved(doc, autosave);
    await world.pass();
    expect(asked).toHaveLength(1);
  });

  test("what is saved already is not sent again", async () => {
    const world = new World();
    const { doc, autosave } = await world.open();
    paint(doc, 10);
    await world.pass();
    expect(await autosave.submit()).toBe("submitted");
    expect(world.server.patches.map((writes) => writes.length)).toEqual([1, 0]);
  });

  test("what may have arrived already is saved first, as it was", async () => {
    const world = new World();
    const { doc, autosave } = await world.open();
    world.server.faults = ["lose reply"];
    const uuid = paint(doc, 10);
    await world.pass(500);
    extend(doc, uuid, 60);
    expect(await autosave.submit()).toBe("submitted");
    expect(world.server.regions.get(uuid)!.version).toBe(2);
    world.expectSaved(doc, autosave);
  });

  test.each(["lose request", "lose reply", "500"] as const)(
    "%s: nothing is lost or doubled, and it can be submitted again",
    async (fault) => {
      const world = new World();
      const { doc, autosave } = await world.open();
      const uuid = paint(doc, 10);
      world.server.faults = [fault];
      expect(await autosave.submit()).toBe("unanswered");
      expect(world.outbox.writes.size).toBe(1);
      await world.pass(60_000);
      world.expectSaved(doc, autosave);
      expect(await autosave.submit()).toBe("submitted");
      expect(world.server.submissions.size).toBe(1);
      expect(world.server.regions.get(uuid)!.version).toBe(1);
    },
  );

  test("what was taken back after an answer that got lost is submitted anew", async () => {
    const world = new World();
    const { doc, autosave } = await world.open();
    paint(doc, 10);
    world.server.faults = ["lose reply"];
    expect(await autosave.submit()).toBe("unanswered");
    world.server.submitted = false;
    expect(await autosave.submit()).toBe("submitted");
    expect(world.server.submitted).toBe(true);
    expect(world.server.submissions.size).toBe(2);
  });

  test("what somebody wrote meanwhile is not submitted unseen, but one's own is saved", async () => {
    const world = new World();
    const { doc, autosave } = await world.open();
    const first = paint(doc, 10);
    await world.pass();
    world.server.write("other", world.server.regions.get(first)!.body);
    const own = paint(doc, 40);
    const refusal = (await autosave.submit()) as Refusal;
    expect(refusal).toMatchObject({ code: "stale", field: "revision" });
    expect(world.server.submitted).toBe(false);
    expect(world.server.live).toContain(own);
    expect(autosave.state).toMatchObject({ status: "saved", revision: 3 });
  });

  test("without a required attribute it is saved and not submitted", async () => {
    const world = new World();
    const { doc, autosave } = await world.open();
    paint(doc, 10);
    world.server.lacking = true;
    expect(await autosave.submit()).toMatchObject({ code: "attributes_missing" });
    expect(world.server.submitted).toBe(false);
    world.expectSaved(doc, autosave);
    world.server.lacking = false;
    expect(await autosave.submit()).toBe("submitted");
  });

  test("a patch that is too large is split, and then submitted", async () => {
    const world = new World();
    const { doc, autosave } = await world.open();
    for (let i = 0; i < 6; i++) paint(doc, i * 20);
    world.server.faults = ["413", "413"];
    expect(await autosave.submit()).toBe("submitted");
    world.expectSaved(doc, autosave);
  });

  test("a bad region is told, the others are saved, nothing is submitted", async () => {
    const world = new World();
    const { doc, autosave } = await world.open();
    const [good, bad] = [paint(doc, 10), paint(doc, 40)];
    world.server.bad.add(bad);
    expect(await autosave.submit()).toBe("unsaved");
    await world.pass();
    expect(world.server.live).toEqual([good]);
    expect(world.server.submitted).toBe(false);
    expect(autosave.state.problems).toMatchObject([{ region: bad }]);
  });

  test("a region that somebody changed is a conflict, and nothing is submitted", async () => {
    const world = new World();
    const { doc, autosave } = await world.open();
    const uuid = paint(doc, 10);
    await world.pass();
    world.server.write(uuid, world.server.regions.get(uuid)!.body);
    extend(doc, uuid, 60);
    expect(await autosave.submit()).toBe("unsaved");
    expect(autosave.state.conflicts).toMatchObject([{ region: uuid }]);
    expect(world.server.submitted).toBe(false);
    await autosave.keepMine(uuid);
    await world.pass();
    expect(await autosave.submit()).toBe("submitted");
    world.expectSaved(doc, autosave);
  });

  test("an expired login keeps everything until the person is back", async () => {
    const world = new World();
    const { doc, autosave } = await world.open();
    paint(doc, 10);
    world.server.loggedIn = false;
    expect(await autosave.submit()).toBe("unsaved");
    expect(autosave.state).toMatchObject({ status: "login-expired", pending: 1 });
    world.server.loggedIn = true;
    autosave.retry();
    expect(await autosave.submit()).toBe("submitted");
    world.expectSaved(doc, autosave);
  });
});
