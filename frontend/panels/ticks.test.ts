import fc from "fast-check";
import { expect, test } from "vitest";
import { ticks } from "./ticks";

test("numbers are round and apart, at any zoom", () => {
  expect(ticks(0, 100, 1).filter(({ label }) => label)).toEqual([
    { at: 0, label: "0" },
    { at: 100, label: "100" },
  ]);
  expect(ticks(-3, 2, 64).map(({ at, label }) => label ?? `(${at})`)).toEqual(
    ["-3", "-2", "-1", "0", "1", "2"].map(String),
  );
  fc.assert(
    fc.property(fc.double({ min: 0.005, max: 64, noNaN: true }), (scale) => {
      const found = ticks(-50 / scale, 1500 / scale, scale);
      const numbers = found.filter(({ label }) => label !== null).map(({ at }) => at);
      expect(numbers).toContain(0);
      expect(found.length).toBeLessThan(200);
      for (let i = 1; i < numbers.length; i++) {
        const apart = (numbers[i]! - numbers[i - 1]!) * scale;
        expect(apart).toBeGreaterThanOrEqual(63.9);
        expect(apart).toBeLessThanOrEqual(64 * 2.6);
        expect(Number.isInteger(numbers[i])).toBe(true);
      }
    }),
  );
});
