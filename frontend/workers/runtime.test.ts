import { expect, it } from "vitest";
import { hasGpu } from "./runtime";

it("takes a GPU that is one, and nothing else", async () => {
  const found = (adapter: { info?: { isFallbackAdapter?: boolean } } | null) => ({
    requestAdapter: () => Promise.resolve(adapter),
  });
  expect(await hasGpu(found({ info: { isFallbackAdapter: false } }))).toBe(true);
  expect(await hasGpu(found({}))).toBe(true);
  expect(await hasGpu(found({ info: { isFallbackAdapter: true } }))).toBe(false);
  expect(await hasGpu(found(null))).toBe(false);
  expect(await hasGpu(undefined)).toBe(false);
  expect(await hasGpu({ requestAdapter: () => Promise.reject(new Error("blocked")) })).toBe(false);
});
