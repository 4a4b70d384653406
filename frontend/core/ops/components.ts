import { Mask, MaskWriter } from "../mask";

export interface Components {
  /** Per pixel: 0 where not set, else the number of its part. */
  readonly labels: Int32Array;
  /** Pixels by number of the part; [0] is unused. */
  readonly areas: readonly number[];
}

/** Connected parts of a row-major bitmap: 4-connected, or 8-connected with `diagonal`. */
export function components(
  pixels: ArrayLike<number>,
  width: number,
  height: number,
  diagonal: boolean,
): Components {
  const labels = new Int32Array(width * height);
  const areas = [0];
  const stack: number[] = [];
  for (let seed = 0; seed < labels.length; seed++) {
    if (!pixels[seed] || labels[seed]) continue;
    const label = areas.length;
    let area = 0;
    stack.push(seed);
    labels[seed] = label;
    while (stack.length > 0) {
      const at = stack.pop()!;
      area++;
      const x = at % width;
      const y = (at - x) / width;
      for (let dy = -1; dy <= 1; dy++) {
        for (let dx = -1; dx <= 1; dx++) {
          if (!diagonal && dx !== 0 && dy !== 0) continue;
          if (x + dx < 0 || x + dx >= width || y + dy < 0 || y + dy >= height) continue;
          const next = at + dy * width + dx;
          if (!pixels[next] || labels[next]) continue;
          labels[next] = label;
          stack.push(next);
        }
      }
    }
    areas.push(area);
  }
  return { labels, areas };
}

/** The 4-connected parts of a mask, the largest first. */
export function parts(mask: Mask): Mask[] {
  const { x, y, width, height } = mask.bbox();
  const { labels, areas } = components(mask.bitmap({ x, y, width, height }), width, height, false);
  const writers = areas.map(() => new MaskWriter(new Mask(mask.size)));
  for (let column = 0; column < width; column++) {
    for (let row = 0; row < height; ) {
      const start = row;
      const label = labels[row * width + column]!;
      do row++;
      while (row < height && labels[row * width + column] === label);
      if (label > 0) writers[label]!.set(x + column, y + start, y + row);
    }
  }
  const found = writers.map((writer, label) => ({ writer, area: areas[label]! })).slice(1);
  for (const { writer } of found) writer.finish();
  return found.sort((a, b) => b.area - a.area).map(({ writer }) => writer.mask);
}
