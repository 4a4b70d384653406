import fc from "fast-check";
import { expect, test } from "vitest";
import { assigned, bound, holders, type Keymap, refusal, restored } from "./keymap";

const COMMANDS = [
  { id: "undo", title: "Undo", keys: ["Ctrl+Z"] },
  { id: "redo", title: "Redo", keys: ["Ctrl+Shift+Z", "Ctrl+Y"] },
  { id: "submit", title: "Submit", keys: ["Ctrl+Enter"] },
  { id: "approve", title: "Approve", keys: ["Ctrl+Enter"] },
  { id: "all", title: "Dismiss all", keys: [] },
];

const keysOf = (keymap: Keymap, id: string) =>
  bound(COMMANDS, keymap).find((one) => one.id === id)?.keys;

test("a key that is taken is taken from the other command", () => {
  expect(holders(COMMANDS, {}, "undo", "Ctrl+Y").map(({ id }) => id)).toEqual(["redo"]);
  const keymap = assigned(COMMANDS, {}, "undo", "Ctrl+Y");
  expect(keysOf(keymap, "undo")).toEqual(["Ctrl+Y"]);
  expect(keysOf(keymap, "redo")).toEqual(["Ctrl+Shift+Z"]);
  const back = restored(COMMANDS, keymap, "redo");
  expect([keysOf(back, "undo"), keysOf(back, "redo")]).toEqual([[], ["Ctrl+Shift+Z", "Ctrl+Y"]]);
  expect(restored(COMMANDS, back, "undo")).toEqual({});
});

test("commands that share a key as they come go on sharing it", () => {
  expect(holders(COMMANDS, {}, "submit", "Ctrl+Enter")).toEqual([]);
  expect(holders(COMMANDS, {}, "all", "Ctrl+Enter")).toHaveLength(2);
  expect(assigned(COMMANDS, {}, "submit", "Ctrl+Enter")).toEqual({});
});

test("keys of the browser, of the page and of categories are refused by name", () => {
  const categories = [{ name: "car", key: "c" }];
  expect(refusal("Ctrl+T", categories)).toMatch("browser");
  expect(refusal("Escape", categories)).toMatch("page");
  expect(refusal("C", categories)).toBe("C picks the category car.");
  expect(refusal("Ctrl+C", categories)).toBe("");
});

test("whatever is assigned and restored, a key leads to one command or to those that share it", () => {
  const ids = fc.constantFrom(...COMMANDS.map(({ id }) => id));
  const keys = fc.constantFrom("Ctrl+Z", "Ctrl+Y", "Ctrl+Enter", "A", "B");
  fc.assert(
    fc.property(fc.array(fc.tuple(ids, fc.option(keys))), (steps) => {
      let keymap: Keymap = {};
      for (const [id, key] of steps) {
        keymap = key ? assigned(COMMANDS, keymap, id, key) : restored(COMMANDS, keymap, id);
        if (key) expect(keysOf(keymap, id)).toEqual([key]);
        for (const one of bound(COMMANDS, keymap)) {
          for (const mine of one.keys) {
            expect(holders(COMMANDS, keymap, one.id, mine)).toEqual([]);
          }
        }
      }
      for (const { id } of COMMANDS) keymap = restored(COMMANDS, keymap, id);
      expect(keymap).toEqual({});
    }),
  );
});
