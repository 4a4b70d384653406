import { LabelMap, type PackedLabels } from "./labelmap";
import { Mask, MaskWriter, type PackedMask } from "./mask";
import { rasterize } from "./rasterize";
import type { Geometry, Rect, Size } from "./types";

export interface RegionPixels {
  readonly mask: Mask;
  readonly bbox: Rect;
  /** Pixels. */
  readonly area: number;
}

/** The pixels of a document's regions as it opens. */
export interface LoadedPixels {
  /** In the order of the regions. */
  readonly regions: readonly RegionPixels[];
  /** Region i has slot i + 1. */
  readonly labels: LabelMap;
}

/** The same in few buffers, for sending from a worker. */
export interface PackedPixels {
  /** Of all masks, one after the other (`PackedMask`). */
  readonly indices: Int32Array;
  readonly words: Uint32Array;
  /** By region: where its indices end, where its words end, area, x, y, width, height. */
  readonly regions: Float64Array;
  readonly labels: PackedLabels;
}

const FIELDS = 7;

/**
 * Decodes and draws geometries one over the other. In exclusive documents a pixel goes to the last
 * one alone: stored ones never overlap, those that wait to be sent may. Throws RleError.
 */
export function loadPixels(
  size: Size,
  exclusive: boolean,
  geometries: readonly Geometry[],
): LoadedPixels {
  const masks = geometries.map((geometry) => geometryMask(geometry, size));
  if (exclusive) {
    const taken = new MaskWriter(new Mask(size));
    for (let i = masks.length - 1; i >= 0; i--) {
      const mine = new MaskWriter(masks[i]!);
      mine.subtract(taken.mask);
      mine.finish();
      taken.add(masks[i]!);
    }
  }
  const labels = new LabelMap(size);
  masks.forEach((mask, i) => {
    for (const [index, tile] of mask.tiles) labels.drawTile(index, tile, i + 1);
  });
  return {
    regions: masks.map((mask) => ({ mask, bbox: mask.bbox(), area: mask.area() })),
    labels,
  };
}

export function packPixels({ regions, labels }: LoadedPixels): PackedPixels {
  const packed = regions.map(({ mask }) => mask.pack());
  const total = (of: (mask: PackedMask) => ArrayLike<number>) =>
    packed.reduce((sum, mask) => sum + of(mask).length, 0);
  const indices = new Int32Array(total((mask) => mask.indices));
  const words = new Uint32Array(total((mask) => mask.words));
  const fields = new Float64Array(regions.length * FIELDS);
  let [nextIndex, nextWord] = [0, 0];
  regions.forEach(({ bbox, area }, i) => {
    const mask = packed[i]!;
    indices.set(mask.indices, nextIndex);
    words.set(mask.words, nextWord);
    nextIndex += mask.indices.length;
    nextWord += mask.words.length;
    fields.set([nextIndex, nextWord, area, bbox.x, bbox.y, bbox.width, bbox.height], i * FIELDS);
  });
  return { indices, words, regions: fields, labels: labels.pack() };
}

/** Everything shares the memory of `packed`. */
export function unpackPixels(packed: PackedPixels): LoadedPixels {
  const labels = LabelMap.unpack(packed.labels);
  const regions: RegionPixels[] = [];
  let [index, word] = [0, 0];
  for (let at = 0; at < packed.regions.length; at += FIELDS) {
    const [nextIndex, nextWord, area, x, y, width, height] = packed.regions.subarray(
      at,
      at + FIELDS,
    ) as unknown as [number, number, number, number, number, number, number];
    const mask = Mask.unpack({
      size: labels.size,
      indices: packed.indices.subarray(index, nextIndex),
      words: packed.words.subarray(word, nextWord),
    });
    regions.push({ mask, area, bbox: { x, y, width, height } });
    [index, word] = [nextIndex, nextWord];
  }
  return { regions, labels };
}

/** The pixels of a geometry. Throws RleError. */
export function geometryMask(geometry: Geometry, size: Size): Mask {
  return geometry.type === "mask"
    ? Mask.fromCounts(size, geometry.counts)
    : rasterize(geometry.polygons, size);
}
