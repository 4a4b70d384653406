import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { Mask } from "./mask";
import { rasterize } from "./rasterize";
import { countsToRuns, RleError, runsToCounts } from "./rle";
import type { Polygon } from "./types";

const read = (name: string) =>
  JSON.parse(readFileSync(new URL(`../../tests/vectors/${name}.json`, import.meta.url), "utf8"));

interface RleCase {
  name: string;
  size: [number, number];
  runs: number[];
  counts: string;
  area: number;
  bbox: [number, number, number, number];
}

describe("RLE as pycocotools has it", () => {
  test.each(read("rle") as RleCase[])(
    "$name",
    ({ size: [height, width], runs, counts, area, bbox }) => {
      const size = { width, height };
      expect(countsToRuns(counts, size)).toEqual(runs);
      expect(runsToCounts(runs)).toBe(counts);
      const mask = Mask.fromCounts(size, counts);
      expect(mask.counts()).toBe(counts);
      expect(mask.area()).toBe(area);
      const box = mask.bbox();
      expect([box.x, box.y, box.width, box.height]).toEqual(bbox);
      expect(Mask.unpack(mask.pack()).counts()).toBe(counts);
    },
  );

  test.each(["0", "0`n", "0`n10000", "\x7f", "0`n1\u00e9", "P", "PPPPPPPPPPPPP"])(
    "%j is refused",
    (counts) => {
      expect(() => countsToRuns(counts, { width: 50, height: 40 })).toThrow(RleError);
    },
  );
});

interface PolygonCase {
  name: string;
  size: [number, number];
  polygons: Polygon[];
  counts: string;
  area: number;
}

describe("polygons filled as pycocotools does", () => {
  test.each(read("polygons") as PolygonCase[])(
    "$name",
    ({ size: [height, width], polygons, counts, area }) => {
      const mask = rasterize(polygons, { width, height });
      expect(mask.counts()).toBe(counts);
      expect(mask.area()).toBe(area);
    },
  );
});
