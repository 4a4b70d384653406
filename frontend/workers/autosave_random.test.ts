import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ProjectKind } from "../core/types";
import { extend, type FakeServer, paint, settle, World } from "./testing";

describe("whatever goes wrong", () => {
  const kinds = fc.constantFrom<ProjectKind>("instance", "semantic", "panoptic");
  const fault = fc.constantFrom("lose request", "lose reply", "500", "401", "413", "429" as const);
  const act = fc.record({
    do: fc.constantFrom("paint", "extend", "remove", "undo", "redo", "kill", "submit" as const),
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
            if (what === "submit") {
              if ((await page.autosave.submit()) === "submitted") {
                world.expectSaved(doc, page.autosave);
                expect(world.server.submitted).toBe(true);
              }
              world.server.submitted = false; // it is taken back
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
