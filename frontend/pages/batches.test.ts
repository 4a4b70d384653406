import { expect, test } from "vitest";
import { batchSize, inOrder, outcomes } from "./batches";

const MB = 2 ** 20;
const bad = { code: "not_an_image", detail: "“a.png” is no image.", hint: "Look." };
const known = { code: "duplicate", detail: "“b.png” is already in this project." };

test("frame 9 comes before frame 10", () => {
  const files = ["day/frame10.png", "day/frame9.png", "a.png"].map((path) => ({
    path,
    file: new File([], path),
  }));
  expect(inOrder(files).map(({ path }) => path)).toEqual([
    "a.png",
    "day/frame9.png",
    "day/frame10.png",
  ]);
});

test("a request has at most 24 files and 32 MB, and at least one file", () => {
  expect(batchSize([1, 1, 1])).toBe(3);
  expect(batchSize(Array(24).fill(1))).toBe(24);
  expect(batchSize(Array(25).fill(1))).toBe(24);
  expect(batchSize([20 * MB, 12 * MB, 1])).toBe(2);
  expect(batchSize([900 * MB, 1])).toBe(1);
});

test("each file of a request has an outcome of its own", () => {
  const results = [
    { file: 0, error: null },
    { file: 1, error: bad },
    { file: 2, error: known },
  ];
  const found = outcomes({ status: 201, body: { results, jobs: [{}] } }, 4);
  expect(found.map(({ state }) => state)).toEqual(["done", "failed", "known", "queued"]);
  expect(found[0]).toEqual({ state: "done", detail: "", images: 1 });
  expect(found[1]?.detail).toBe("“a.png” is no image. Look.");
  expect(found[2]?.detail).toBe("“b.png” is already in this project.");
});

test("of a zip are said the images that were added, known and refused", () => {
  const results = [null, null, known, bad].map((error) => ({ file: 0, error }));
  const [found] = outcomes({ status: 201, body: { results, jobs: [] } }, 1);
  expect(found).toEqual({
    state: "done",
    images: 2,
    detail: "2 images added. 1 was already there. 1 refused: “a.png” is no image. Look.",
  });
});

test("when nothing could be taken each file says its own reason", () => {
  const results = [
    { file: 0, error: known },
    { file: 1, error: bad },
  ];
  const found = outcomes({ status: 409, body: { ...known, results } }, 2);
  expect(found.map(({ state }) => state)).toEqual(["known", "failed"]);
});

test.each([
  [0, null, "The server could not be reached. Retry when it can."],
  [401, {}, "You are logged out. Log in in another tab, then retry."],
  [502, null, "The server answered 502. Retry."],
  [507, { detail: "The disk is full.", hint: "" }, "The disk is full."],
])("what holds for the request holds for each of its files: %s", (status, body, detail) => {
  const each = { state: "failed", detail, images: 0 };
  expect(outcomes({ status, body }, 2)).toEqual([each, each]);
});
