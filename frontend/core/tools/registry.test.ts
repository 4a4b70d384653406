import { describe, expect, test } from "vitest";
import { picture } from "../testing";
import { TOOLS } from "./registry";
import { at, Bench, NONE } from "./testing";

describe("every tool", () => {
  test.each(TOOLS.map(({ name }) => name))(
    "%s leaves the document alone when nothing is done",
    (name) => {
      const bench = new Bench(name);
      const before = picture(bench.doc);
      bench.tool.pointerMove([at(10, 10)], NONE);
      expect(bench.key("q")).toBe(false);
      expect(bench.tool.cancel()).toBe(false);
      bench.tool.overlays();
      expect(picture(bench.doc)).toBe(before);
      expect(bench.doc.gesture).toBeNull();
    },
  );

  test("names and hotkeys are all different", () => {
    expect(new Set(TOOLS.map(({ name }) => name)).size).toBe(TOOLS.length);
    expect(new Set(TOOLS.map(({ hotkey }) => hotkey)).size).toBe(TOOLS.length);
  });

  test.each(["brush", "rectangle", "lasso", "bucket", "polygon"])(
    "%s asks for a category",
    (name) => {
      const bench = new Bench(name, {}, { categoryId: null });
      bench.drag([
        [10, 10],
        [40, 10],
        [40, 40],
        [20, 45],
      ]);
      if (name === "polygon") {
        for (const [x, y] of [
          [60, 10],
          [60, 60],
        ] as const)
          bench.click(x, y);
        bench.key("Enter");
      }
      expect(bench.said).toContain("Choose a category first.");
      expect(bench.doc.regions).toHaveLength(0);
      expect(bench.doc.gesture).toBeNull();
    },
  );
});
