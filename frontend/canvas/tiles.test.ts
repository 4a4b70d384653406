import { expect, test } from "vitest";
import { Pyramid, type TileIndex } from "./tiles";

const SIZE = { width: 8000, height: 5001 };

function pyramid(fail = false) {
  const asked: string[] = [];
  const closed: string[] = [];
  const load = async ({ level, x, y }: TileIndex) => {
    const name = `${level}/${x}/${y}`;
    asked.push(name);
    if (fail) throw new Error("gone");
    return { close: () => closed.push(name) } as unknown as ImageBitmap;
  };
  return { tiles: new Pyramid(SIZE, 5, load), asked, closed };
}

const settled = () => new Promise((resolve) => setTimeout(resolve, 0));

test("the level is the coarsest that is sharp", () => {
  const { tiles } = pyramid();
  expect([2, 1, 0.6, 0.5, 0.25, 0.05, 0.001].map((scale) => tiles.levelFor(scale))).toEqual([
    4, 4, 4, 3, 2, 0, 0,
  ]);
});

test("a window is covered by the tiles that touch it, and they cover the image", () => {
  const { tiles } = pyramid();
  const found = tiles.cover({ x: 500, y: 1000, width: 100, height: 30 }, 4);
  expect(found.map(({ x, y }) => [x, y])).toEqual([
    [0, 1],
    [1, 1],
    [0, 2],
    [1, 2],
  ]);
  for (let level = 0; level < 5; level += 1) {
    const all = tiles.cover({ x: -50, y: -50, width: 9000, height: 9000 }, level);
    const area = all
      .map((tile) => tiles.rect(tile))
      .reduce((sum, r) => sum + r.width * r.height, 0);
    expect(area).toBe(SIZE.width * SIZE.height);
  }
});

test("a tile is asked for once and said when it is there", async () => {
  const { tiles, asked } = pyramid();
  let said = 0;
  tiles.onLoad = () => {
    said += 1;
  };
  const tile = { level: 4, x: 3, y: 2 };
  expect(tiles.get(tile, false)).toBeNull();
  await settled();
  expect(asked).toEqual([]);
  expect([tiles.get(tile), tiles.get(tile)]).toEqual([null, null]);
  await settled();
  expect(asked).toEqual(["4/3/2"]);
  expect(tiles.get(tile)).not.toBeNull();
  expect(said).toBe(1);
});

test("what was not looked at for long is dropped", async () => {
  const { tiles, closed } = pyramid();
  const all = tiles.cover({ x: 0, y: 0, ...SIZE }, 4);
  const more = [...all, ...tiles.cover({ x: 0, y: 0, ...SIZE }, 3)];
  for (const tile of more) {
    tiles.get(tile);
    await settled();
  }
  expect(more.length - closed.length).toBe(192);
  expect(closed[0]).toBe("4/0/0");
  tiles.close();
  expect(closed.length).toBe(more.length);
});

test("a tile that cannot be had is not asked for again", async () => {
  const { tiles, asked } = pyramid(true);
  for (let turn = 0; turn < 3; turn += 1) {
    tiles.get({ level: 0, x: 0, y: 0 });
    await settled();
  }
  expect(asked.length).toBe(1);
});
