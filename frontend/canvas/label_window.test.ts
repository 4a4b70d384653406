import fc from "fast-check";
import { expect, test } from "vitest";
import { LabelMap } from "../core/labelmap";
import { FULL } from "../core/mask";
import { LabelWindow, labelLevel, type Upload } from "./label_window";

const SIZE = { width: 3000, height: 1900 };
const SCREEN = { width: 400, height: 300 };

const step = fc.record({
  x: fc.integer({ min: 0, max: SIZE.width - 1 }),
  y: fc.integer({ min: 0, max: SIZE.height - 1 }),
  scale: fc.constantFrom(0.1, 0.3, 0.9, 2),
  tile: fc.nat({ max: 47 * 29 - 1 }),
  slot: fc.integer({ min: 0, max: 3 }),
  late: fc.boolean(),
});

test("what is on the screen is in the texture, after any moves and changes", () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 12 }), (steps) => {
      const labels = new LabelMap(SIZE);
      const windows = new Map<number, { window: LabelWindow; texture: Uint16Array }>();
      for (const { x, y, scale, tile, slot, late } of steps) {
        const column = (tile % 46) * 64;
        const row = Math.floor(tile / 47) * 64;
        if (slot) labels.drawTile(Math.floor(tile / 47) * labels.columns + (tile % 46), FULL, slot);
        else labels.fill(x, y, Math.min(SIZE.height, y + 90), 4);
        for (const { window } of windows.values()) {
          window.changed({ x: column, y: row, width: 64, height: 64 });
          window.changed({ x, y, width: 1, height: Math.min(SIZE.height - y, 90) });
        }
        const level = labelLevel(scale);
        let found = windows.get(level);
        if (!found) {
          const window = new LabelWindow(labels, level, SCREEN);
          found = { window, texture: new Uint16Array(window.size.width * window.size.height) };
          windows.set(level, found);
        }
        const { window, texture } = found;
        const put: Upload = (left, top, { width, height }, texels) => {
          for (let i = 0; i < width; i++) {
            const part = texels.subarray(i * height, (i + 1) * height);
            texture.set(part, (left + i) * window.size.height + top);
          }
        };
        const camera = { scale, x: 200 - x * scale, y: 150 - y * scale };
        let calls = 0;
        const complete = window.update(camera, SCREEN, put, () => late && calls++ > 1);
        const origin = window.origin(camera);
        const shown = new Set<number>();
        for (const part of window.parts(camera, SCREEN)) {
          for (let px = part.x; px < Math.min(SIZE.width, part.x + part.width); px += 32) {
            for (let py = part.y; py < Math.min(SIZE.height, part.y + part.height); py += 32) {
              shown.add(py * SIZE.width + px);
            }
          }
        }
        // As the shader does it.
        const wrap = (at: number, ring: number) =>
          at < 0 ? at + ring : at >= ring ? at - ring : at;
        const one = new Uint16Array(1);
        for (let sx = 0; sx < SCREEN.width; sx += 7) {
          for (let sy = 0; sy < SCREEN.height; sy += 7) {
            const px = Math.floor((sx + 0.5 - camera.x) / scale);
            const py = Math.floor((sy + 0.5 - camera.y) / scale);
            if (px < 0 || py < 0 || px >= SIZE.width || py >= SIZE.height) continue;
            const on = shown.has((py - (py % 32)) * SIZE.width + px - (px % 32));
            if (!on && !complete) continue;
            const [tx, ty] = [px >> level, py >> level];
            labels.sample(level, { x: tx, y: ty, width: 1, height: 1 }, one);
            const rx = wrap(tx - origin.x, window.size.width);
            const ry = wrap(ty - origin.y, window.size.height);
            const there = on ? texture[rx * window.size.height + ry] : 0;
            if (there !== one[0]) throw new Error(`${there} instead of ${one[0]} at ${px}, ${py}`);
          }
        }
      }
    }),
    { numRuns: 60 },
  );
});

test("moving a little uploads little, and nothing where nothing is", () => {
  const labels = new LabelMap({ width: 32768, height: 32768 });
  const window = new LabelWindow(labels, 0, SCREEN);
  let uploads = 0;
  const put: Upload = () => {
    uploads += 1;
  };
  const update = (x: number) =>
    window.update({ scale: 1, x: -x, y: -10000 }, SCREEN, put, () => false);
  update(10000);
  expect(uploads).toBe(0);
  for (let x = 9000; x < 12000; x += 1) labels.fill(x, 10000, 10300, 7);
  window.changed({ x: 9000, y: 10000, width: 3000, height: 300 });
  update(10000);
  const first = uploads;
  expect(first).toBeLessThanOrEqual(9);
  for (let x = 10000; x < 10100; x += 10) update(x);
  expect(uploads - first).toBeLessThanOrEqual(3);
  expect(window.size.width * window.size.height).toBeLessThan(2 ** 21);
});
