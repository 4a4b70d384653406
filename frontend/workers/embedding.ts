import type { Size } from "../core/types";

/** What an image encoder made of one image, as `inference/services/embeddings.py` stores it. */
export interface Embedding {
  /** SHA-256 of the image's file and of the model's weights. */
  readonly signature: string;
  /** Of the image, pixels. */
  readonly size: Size;
  /** At which the encoder saw it. */
  readonly seen: Size;
  /** (channels, side, side). */
  readonly features: Float32Array;
  readonly channels: number;
  readonly side: number;
}

interface Head {
  readonly signature: string;
  readonly size: readonly [number, number];
  readonly arrays: readonly { name: string; dtype: string; shape: readonly number[] }[];
}

const BYTES: Readonly<Record<string, number>> = { float16: 2, float32: 4, int32: 4 };

/** Reads a stored embedding. Throws where it is not one. */
export async function readEmbedding(packed: ReadableStream<Uint8Array>): Promise<Embedding> {
  const stream = packed.pipeThrough(
    new DecompressionStream("gzip") as ReadableWritablePair<Uint8Array, Uint8Array>,
  );
  const bytes = new Uint8Array(await new Response(stream as BodyInit).arrayBuffer());
  const end = bytes.indexOf(10);
  const head = JSON.parse(new TextDecoder().decode(bytes.subarray(0, end))) as Head;
  const arrays = new Map<string, { shape: readonly number[]; numbers: Float32Array }>();
  let at = end + 1;
  for (const { name, dtype, shape } of head.arrays) {
    const count = shape.reduce((product, size) => product * size, 1);
    const width = BYTES[dtype];
    if (!width || at + count * width > bytes.length) throw new Error("The embedding is damaged.");
    arrays.set(name, { shape, numbers: numbers(bytes.subarray(at, at + count * width), dtype) });
    at += count * width;
  }
  const features = arrays.get("features");
  const seen = arrays.get("input")?.numbers;
  if (!features || !seen) throw new Error("The embedding is of another kind.");
  const [channels, side] = features.shape;
  return {
    signature: head.signature,
    size: { height: head.size[0], width: head.size[1] },
    seen: { height: seen[0]!, width: seen[1]! },
    features: features.numbers,
    channels: channels!,
    side: side!,
  };
}

/** The first bytes of all numbers, then the second bytes… → the numbers. */
function numbers(planes: Uint8Array, dtype: string): Float32Array {
  const width = BYTES[dtype]!;
  const count = planes.length / width;
  const out = new Float32Array(count);
  const one = new DataView(new ArrayBuffer(4));
  for (let i = 0; i < count; i++) {
    if (dtype === "float16") {
      out[i] = half(planes[i]! | (planes[count + i]! << 8));
      continue;
    }
    for (let byte = 0; byte < 4; byte++) one.setUint8(byte, planes[byte * count + i]!);
    out[i] = dtype === "int32" ? one.getInt32(0, true) : one.getFloat32(0, true);
  }
  return out;
}

/** The number that 16 bits of IEEE 754 mean. */
function half(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
