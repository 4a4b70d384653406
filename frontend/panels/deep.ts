import { api } from "../api/client";
import type { Workspace } from "../api/workspace";
import type { Size } from "../core/types";

/** Which values are black and white. */
export interface Window {
  readonly low: number;
  readonly high: number;
}

export type WindowInfo = NonNullable<Workspace["image"]["window"]>;

/** Gray of more than 8 bits, and the picture of it through a window. */
export class DeepValues {
  private constructor(
    private readonly pixels: Uint16Array,
    private readonly size: Size,
    private readonly info: WindowInfo,
  ) {}

  static async fetch(image: number, size: Size, info: WindowInfo): Promise<DeepValues> {
    const packed = await api.values(image);
    const stream = packed.stream().pipeThrough(new DecompressionStream("gzip"));
    const bytes = await new Response(stream).arrayBuffer();
    return new DeepValues(new Uint16Array(bytes), size, info);
  }

  view(window: Window): Promise<ImageBitmap> {
    const gray = lookUp(this.info, window);
    const image = new ImageData(this.size.width, this.size.height);
    const out = new Uint32Array(image.data.buffer);
    const { pixels } = this;
    for (let index = 0; index < out.length; index += 1) out[index] = gray[pixels[index]!]!;
    return createImageBitmap(image);
  }
}

/** RGBA (little-endian) of each stored value, as the server makes its view. */
export function lookUp(info: WindowInfo, { low, high }: Window): Uint32Array {
  const table = new Uint32Array(65536);
  const span = Math.max(high - low, 1e-30);
  for (let stored = 0; stored < table.length; stored += 1) {
    const part = (stored * info.scale + info.offset - low) / span;
    const shown = Math.round(Math.min(Math.max(part, 0), 1) * 255);
    const level = info.inverted ? 255 - shown : shown;
    table[stored] = (0xff000000 | (level << 16) | (level << 8) | level) >>> 0;
  }
  return table;
}
