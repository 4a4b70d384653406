import { expect, test } from "vitest";
import { lookUp } from "./deep";

const CT = {
  low: -160,
  high: 240,
  least: -1024,
  greatest: 3071,
  scale: 1,
  offset: -1024,
  inverted: false,
};

test("low is black, high is white, the middle is grey", () => {
  const table = lookUp(CT, CT);
  const at = (value: number) => table[value - CT.offset]! & 0xff;
  expect([-1024, -160, 40, 240, 3071].map(at)).toEqual([0, 0, 128, 255, 255]);
  expect(table[0]! >>> 24).toBe(255);
});

test("inverted shows the greatest value black", () => {
  const table = lookUp({ ...CT, inverted: true }, CT);
  expect([table[864]! & 0xff, table[1264]! & 0xff]).toEqual([255, 0]);
});

test("a window without width is a threshold", () => {
  const table = lookUp(CT, { low: 0, high: 0 });
  expect([table[1000]! & 0xff, table[1025]! & 0xff]).toEqual([0, 255]);
});
