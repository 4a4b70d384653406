import { LabelMap, type PackedLabels } from "./labelmap";
import { Mask, MaskWriter, type PackedMask } from "./mask";
import { rasterize, ringSpans } from "./rasterize";
import { EMPTY_RECT } from "./rect";
import type { Geometry, ProjectKind, Rect, Ring, Size, StoredRegion } from "./types";

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

/** Regions in the order of `LoadedPixels`: back to front where they may overlap. */
export function loadingOrder(kind: ProjectKind, regions: readonly StoredRegion[]): StoredRegion[] {
  return kind === "instance" ? [...regions].sort((a, b) => a.order - b.order) : [...regions];
}

/**
 * Draws geometries one over the other. In exclusive documents a pixel goes to the last one alone:
 * stored ones never overlap, those that wait to be sent may. Elsewhere the masks of simple polygons
 * are made when somebody asks for them. Throws RleError.
 */
export function loadPixels(
  size: Size,
  exclusive: boolean,
  geometries: readonly Geometry[],
): LoadedPixels {
  const labels = new LabelMap(size);
  if (exclusive) return { regions: loadExclusive(size, geometries, labels), labels };
  const regions = geometries.map((geometry, i) => {
    const ring = simpleRing(geometry);
    if (!ring) return drawMask(labels, geometryMask(geometry, size), i + 1);
    const spans = ringSpans(ring, size);
    labels.drawSpans(spans, i + 1);
    const mask = Mask.later(size, () => geometryMask(geometry, size));
    return { mask, bbox: spans.bounds() ?? EMPTY_RECT, area: spans.area() };
  });
  return { regions, labels };
}

function loadExclusive(
  size: Size,
  geometries: readonly Geometry[],
  labels: LabelMap,
): RegionPixels[] {
  const masks = geometries.map((geometry) => geometryMask(geometry, size));
  const taken = new MaskWriter(new Mask(size));
  for (let i = masks.length - 1; i >= 0; i--) {
    const mine = new MaskWriter(masks[i]!);
    mine.subtract(taken.mask);
    mine.finish();
    taken.add(masks[i]!);
  }
  return masks.map((mask, i) => drawMask(labels, mask, i + 1));
}

function drawMask(labels: LabelMap, mask: Mask, slot: number): RegionPixels {
  for (const [index, tile] of mask.tiles) labels.drawTile(index, tile, slot);
  return { mask, bbox: mask.bbox(), area: mask.area() };
}

/** The ring of a polygon that has only one; null for all else. */
function simpleRing(geometry: Geometry): Ring | null {
  if (geometry.type === "mask") return null;
  const [first, ...others] = geometry.polygons;
  return first?.length === 1 && others.length === 0 ? first[0]! : null;
}

/** Leaves masks that are not made yet to `unpackPixels`. */
export function packPixels({ regions, labels }: LoadedPixels): PackedPixels {
  const packed = regions.map(({ mask }) => (mask.isMade ? mask.pack() : null));
  const total = (of: (mask: PackedMask) => ArrayLike<number>) =>
    packed.reduce((sum, mask) => sum + (mask ? of(mask).length : 0), 0);
  const indices = new Int32Array(total((mask) => mask.indices));
  const words = new Uint32Array(total((mask) => mask.words));
  const fields = new Float64Array(regions.length * FIELDS);
  let [nextIndex, nextWord] = [0, 0];
  regions.forEach(({ bbox, area }, i) => {
    const mask = packed[i];
    if (mask) {
      indices.set(mask.indices, nextIndex);
      words.set(mask.words, nextWord);
      nextIndex += mask.indices.length;
      nextWord += mask.words.length;
    }
    fields.set([nextIndex, nextWord, area, bbox.x, bbox.y, bbox.width, bbox.height], i * FIELDS);
  });
  return { indices, words, regions: fields, labels: labels.pack() };
}

/** Everything shares the memory of `packed`, which was made of these geometries. */
export function unpackPixels(packed: PackedPixels, geometries: readonly Geometry[]): LoadedPixels {
  const labels = LabelMap.unpack(packed.labels);
  const { size } = labels;
  let [index, word] = [0, 0];
  const regions = geometries.map((geometry, i): RegionPixels => {
    const at = i * FIELDS;
    const [nextIndex, nextWord, area, x, y, width, height] = packed.regions.subarray(
      at,
      at + FIELDS,
    ) as unknown as [number, number, number, number, number, number, number];
    const indices = packed.indices.subarray(index, nextIndex);
    const words = packed.words.subarray(word, nextWord);
    [index, word] = [nextIndex, nextWord];
    const mask =
      indices.length === 0 && area > 0
        ? Mask.later(size, () => geometryMask(geometry, size))
        : Mask.unpack({ size, indices, words });
    return { mask, area, bbox: { x, y, width, height } };
  });
  return { regions, labels };
}

/** The pixels of a geometry. Throws RleError. */
export function geometryMask(geometry: Geometry, size: Size): Mask {
  return geometry.type === "mask"
    ? Mask.fromCounts(size, geometry.counts)
    : rasterize(geometry.polygons, size);
}
