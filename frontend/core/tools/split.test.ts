import { describe, expect, test } from "vitest";
import { Bench } from "./testing";

describe("split", () => {
  test("cuts the region under its line, and says when it misses", () => {
    const bench = new Bench("split", { kind: "instance" });
    const uuid = bench.add(1, 20, 20, 40);
    bench.drag([
      [10, 30],
      [90, 30],
    ]);
    expect(bench.doc.regions.map(({ area }) => area)).toEqual([1200, 400]);
    expect(bench.view.state.selection).toEqual([uuid, bench.doc.regions[1]!.uuid]);
    bench.drag([
      [10, 120],
      [90, 120],
    ]);
    bench.view.select();
    bench.drag([
      [10, 120],
      [90, 120],
    ]);
    expect(bench.said).toEqual(["The line does not cut the region.", "Select the region to cut."]);
    expect(bench.doc.undo()).toBe("Split");
    expect(bench.doc.region(uuid)!.area).toBe(1600);
  });
});
