import { describe, expect, test } from "vitest";
import { carried, defaults, fits, fitting, missing } from "./attributes";
import { setCategory } from "./ops/regions";
import { newDocument, rectSpans } from "./testing";
import type { Attribute } from "./types";

const make = (name: string, more: Partial<Attribute> = {}): Attribute => ({
  name,
  type: "text",
  required: false,
  default: null,
  choices: [],
  ...more,
});

const COLOR = make("colour", { type: "choice", choices: ["red", "blue"], default: "red" });
const DOORS = make("doors", { type: "number", required: true });
const PARKED = make("parked", { type: "checkbox", required: true });

describe("attributes", () => {
  test("each type takes its values and no others", () => {
    expect([COLOR, DOORS, PARKED].map((one) => fits(one, "red"))).toEqual([true, false, false]);
    expect([COLOR, DOORS, PARKED].map((one) => fits(one, 0))).toEqual([false, true, false]);
    expect([COLOR, DOORS, PARKED].map((one) => fits(one, false))).toEqual([false, false, true]);
    expect(fits(COLOR, "green")).toBe(false);
    expect(fits(DOORS, Number.NaN)).toBe(false);
    expect(fits(make("note"), "x".repeat(1001))).toBe(false);
  });

  test("zero and no are answers, an empty text is none", () => {
    const note = make("note", { required: true });
    expect(missing([DOORS, PARKED, note], { doors: 0, parked: false, note: "" })).toEqual([note]);
    expect(missing([DOORS], {})).toEqual([DOORS]);
  });

  test("only what fits is copied", () => {
    const values = { colour: "green", doors: 2, free: "x" };
    expect(fitting([COLOR, DOORS], values)).toEqual({ doors: 2 });
    expect(fitting([], values)).toEqual(values);
  });

  test("another category takes what it has too, and what nobody declared", () => {
    const values = { colour: "blue", doors: 2, imported: "x" };
    expect(carried([COLOR, DOORS], [DOORS, PARKED], values)).toEqual({ doors: 2, imported: "x" });
    expect(carried([DOORS], [COLOR], { doors: 2 })).toEqual({ colour: "red" });
    expect(carried([DOORS], [], values)).toEqual({ colour: "blue", imported: "x" });
    expect(defaults([COLOR, DOORS])).toEqual({ colour: "red" });
  });
});

describe("in a document", () => {
  const attributesOf = (category: number) => (category === 1 ? [COLOR, DOORS] : [PARKED]);

  test("a new region has the defaults, unless it is told otherwise", () => {
    const doc = newDocument({ kind: "instance", attributesOf });
    const [plain, told] = doc.edit("add", (gesture) =>
      [{}, { attributes: {} }].map((more) => {
        const region = gesture.add({ categoryId: 1, ...more });
        const box = { x: 5, y: 5, width: 9, height: 9 };
        gesture.paint(region.uuid, rectSpans(doc.size, box));
        return doc.region(region.uuid)!;
      }),
    );
    expect(plain!.attributes).toEqual({ colour: "red" });
    expect(told!.attributes).toEqual({});
  });

  test("another category is one step, attributes with it", () => {
    const doc = newDocument({ kind: "instance", attributesOf });
    const { uuid } = doc.edit("add", (gesture) =>
      gesture.add({ categoryId: 1, polygons: [[[0, 0, 9, 0, 9, 9]]] }),
    );
    setCategory(doc, [uuid], 2);
    expect(doc.region(uuid)).toMatchObject({ categoryId: 2, attributes: {} });
    doc.undo();
    expect(doc.region(uuid)).toMatchObject({ categoryId: 1, attributes: { colour: "red" } });
  });
});
