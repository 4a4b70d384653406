import { describe, expect, test } from "vitest";
import { Bench } from "./testing";

describe("wand", () => {
  test("the wand fills similar colours within the tolerance, over many windows", () => {
    const bench = new Bench("wand", { size: { width: 900, height: 40 } }, { wandTolerance: 10 });
    bench.click(5, 5);
    expect(bench.said).toEqual(["The image is still loading."]);
    bench.image = new Uint8ClampedArray(900 * 40 * 4);
    for (let i = 0; i < 900 * 40; i++) {
      const [x, y] = [i % 900, Math.floor(i / 900)];
      bench.image.fill(y < 20 ? 100 + (x % 10) : 120, i * 4, i * 4 + 3);
    }
    bench.click(5, 5);
    expect(bench.doc.regions[0]!.area).toBe(900 * 20);
    bench.key("+");
    expect(bench.view.state.wandTolerance).toBe(12);
    bench.view.set({ wandTolerance: 20 });
    bench.click(5, 5);
    expect(bench.doc.regions[0]!.area).toBe(900 * 40);
  });
});
