import { expect, test } from "vitest";
import { alike, type Mark } from "./marks";

const mask: Mark = { kind: "mask", counts: "abc", size: [3, 4], style: "preview" };
const handle: Mark = { kind: "handle", x: 1, y: 2, style: "positive" };

test("marks are alike when every value is, and never when they hold points", () => {
  expect(alike([], [])).toBe(true);
  expect(alike([{ ...mask, size: [3, 4] }, handle], [mask, { ...handle }])).toBe(true);
  expect(alike([mask], [mask, handle])).toBe(false);
  expect(alike([mask, handle], [handle, mask])).toBe(false);
  expect(alike([{ ...mask, counts: "abd" }], [mask])).toBe(false);
  expect(alike([{ ...mask, style: "hover" }], [mask])).toBe(false);
  expect(alike([{ ...handle, x: 1.5 }], [handle])).toBe(false);
  const path: Mark = { kind: "path", points: [1, 2], closed: false, style: "draft" };
  expect(alike([path], [path])).toBe(false);
});
