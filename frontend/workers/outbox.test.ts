import "fake-indexeddb/auto";
import { expect, test } from "vitest";
import { IdbOutbox, type PendingWrite } from "./outbox";

const write = (key: string, order: number, user = 1): PendingWrite => ({
  key,
  scope: { user, image: 5, kind: "instance", size: { width: 4, height: 3 } },
  session: "s",
  order,
  op: "delete",
  target: "region",
  region: null,
  basedOn: 1,
  sent: false,
});

test("keeps writes in order, per person, over connections", async () => {
  const outbox = new IdbOutbox("one");
  await outbox.change([write("b", 2), write("a", 1), write("x", 1, 2)], []);
  const again = new IdbOutbox("one");
  expect((await again.all(1)).map(({ key }) => key)).toEqual(["a", "b"]);
  await again.change([{ ...write("b", 2), sent: true }], ["a"]);
  expect(await outbox.all(1)).toEqual([{ ...write("b", 2), sent: true }]);
  expect((await outbox.all(2)).map(({ key }) => key)).toEqual(["x"]);
});

test("a change is all or nothing", async () => {
  const outbox = new IdbOutbox("two");
  const broken = { ...write("c", 3), region: (() => null) as never };
  await expect(outbox.change([write("a", 1), broken], [])).rejects.toThrow();
  expect(await outbox.all(1)).toEqual([]);
});
