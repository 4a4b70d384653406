import { expect, test } from "vitest";
import { matching } from "./finding";

const entries = ["hot dog food", "dog animal", "cat animal", "Zebra animal"].map((text) => ({
  text,
}));
const found = (typed: string) => matching(entries, typed).map(({ text }) => text);

test("what begins with the letters comes before what has them inside", () => {
  expect(found("dog")).toEqual(["dog animal", "hot dog food"]);
});

test("every word has to be there, in any order and case", () => {
  expect(found(" ANIMAL z")).toEqual(["Zebra animal"]);
  expect(found("dog zebra")).toEqual([]);
});

test("without letters all are there as they stand", () => {
  expect(found(" ")).toEqual(entries.map(({ text }) => text));
});
