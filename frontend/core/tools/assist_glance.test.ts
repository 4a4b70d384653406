import { expect, test } from "vitest";
import { rasterize } from "../rasterize";
import type { Candidate } from "../types";
import { at, Bench, NONE } from "./testing";

const bench = () => new Bench("assist", { kind: "instance" });

function candidate({ doc }: Bench, side: number): Candidate {
  const end = 10 + side;
  const counts = rasterize([[[10, 10, end, 10, end, end, 10, end]]], doc.size).counts();
  return { mask: { size: [doc.size.height, doc.size.width], counts }, score: 0.9 };
}

const hover = ({ tool }: Bench, x: number, y: number) => tool.pointerMove([at(x, y)], NONE);
const styles = ({ tool }: Bench) => tool.overlays().map(({ style }) => style);

test("the mask under the resting pointer is shown, and gone when the pointer moves on", async () => {
  const b = bench();
  hover(b, 20, 20);
  expect(b.glanced).toHaveLength(0);
  b.wait();
  expect(b.glanced[0]!.prompts.points).toEqual([{ x: 20, y: 20, positive: true }]);
  await b.glanced[0]!.answer([candidate(b, 20)]);
  expect(styles(b)).toEqual(["hover"]);
  hover(b, 22, 20);
  expect(styles(b)).toEqual(["hover"]);
  hover(b, 60, 60);
  expect(styles(b)).toEqual([]);
  expect(b.doc.regions).toHaveLength(0);
  expect(b.asked).toHaveLength(0);
});

test("a pointer that moves asks nothing, and an answer to an older place is dropped", async () => {
  const b = bench();
  for (let x = 10; x < 100; x += 10) hover(b, x, 20);
  expect(b.timers.size).toBe(1);
  b.wait();
  expect(b.glanced).toHaveLength(1);
  hover(b, 120, 20);
  b.wait();
  expect(b.glanced).toHaveLength(1); // one question at a time
  await b.glanced[0]!.answer([candidate(b, 20)]);
  expect(styles(b)).toEqual([]);
  expect(b.glanced[1]!.prompts.points[0]).toMatchObject({ x: 120, y: 20 });
});

test("a click on what is shown takes it over without asking again", async () => {
  const b = bench();
  hover(b, 20, 20);
  b.wait();
  await b.glanced[0]!.answer([candidate(b, 20), candidate(b, 30)]);
  b.click(20, 20);
  expect(b.asked).toHaveLength(0);
  expect(styles(b)).toEqual(["preview", "positive"]);
  expect(b.tool.says?.()).toBe("Mask 1 of 2, 90 %. Tab shows the next, Enter takes it.");
  b.key("Tab");
  expect(b.tool.says?.()).toMatch("Mask 2 of 2");
  b.key("Enter");
  expect(b.doc.regions[0]?.area).toBe(900);
  expect(b.tool.says?.()).toBe("");
  expect(b.view.state.categoryId).toBe(1); // the next object is one of the same category
});

test("a click elsewhere, a negative one or a later one asks", async () => {
  const b = bench();
  hover(b, 20, 20);
  b.wait();
  await b.glanced[0]!.answer([candidate(b, 20)]);
  b.click(90, 90);
  expect(b.asked).toHaveLength(1);
  hover(b, 20, 20);
  b.wait();
  expect(b.glanced).toHaveLength(1); // not between clicks
  b.click(20, 20);
  expect(b.asked).toHaveLength(2);
});

test("slow engines, errors and a preview that is switched off show nothing", async () => {
  const b = bench();
  b.quick = false;
  hover(b, 20, 20);
  b.wait();
  expect(styles(b)).toEqual([]);
  b.quick = true;
  hover(b, 60, 60);
  b.wait();
  await b.glanced[0]!.answer(new Error("out of memory"));
  expect([styles(b), b.said]).toEqual([[], []]);
  b.view.set({ assistPreview: false });
  hover(b, 90, 90);
  expect(b.timers.size).toBe(0);
  b.tool.cancel();
});
