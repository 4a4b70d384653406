import {
  type LoadedPixels,
  loadPixels,
  type PackedPixels,
  packPixels,
  unpackPixels,
} from "../core/loading";
import { Mask, type PackedMask } from "../core/mask";
import type { Geometry, Size } from "../core/types";

/** Encoding up to that many tiles takes less than handing them to a worker. */
const SMALL_TILES = 64;

export type CodecRequest =
  | { readonly id: number; readonly do: "encode"; readonly mask: PackedMask }
  | {
      readonly id: number;
      readonly do: "load";
      readonly size: Size;
      readonly exclusive: boolean;
      readonly geometries: readonly Geometry[];
    };

/** To fetch a workspace: answered by an `OpenReply`, then a `DrawnReply`. */
export interface OpenRequest {
  readonly do: "open";
  readonly url: string;
}

export interface OpenReply {
  /** What the server says; null when it could not be reached. */
  readonly said: { readonly status: number; readonly body: ArrayBuffer } | null;
}

export interface DrawnReply {
  readonly drawn: {
    readonly annotation: number;
    readonly revision: number;
    readonly pixels: PackedPixels;
  } | null;
}

export interface CodecReply {
  readonly id: number;
  readonly counts?: string;
  readonly pixels?: PackedPixels;
  readonly error?: string;
}

/** What the worker does with one request. */
export function answer(request: CodecRequest): CodecReply {
  const { id } = request;
  try {
    if (request.do === "encode") return { id, counts: Mask.unpack(request.mask).counts() };
    const { size, exclusive, geometries } = request;
    return { id, pixels: packPixels(loadPixels(size, exclusive, geometries)) };
  } catch (error) {
    return { id, error: error instanceof Error ? error.message : String(error) };
  }
}

/** Masks to RLE and back in a worker; here and now where there is none. */
export class Codec {
  private readonly waiting = new Map<number, (reply: CodecReply) => void>();
  private next = 1;

  constructor(private readonly worker: Worker | null) {
    worker?.addEventListener("message", ({ data }: MessageEvent<CodecReply>) => {
      this.waiting.get(data.id)?.(data);
      this.waiting.delete(data.id);
    });
    worker?.addEventListener("error", () => {
      for (const [id, resolve] of this.waiting) resolve({ id, error: "The worker ended." });
      this.waiting.clear();
    });
  }

  async encode(mask: Mask): Promise<string> {
    if (mask.tiles.size <= SMALL_TILES) return mask.counts();
    const packed = mask.pack();
    const transfer = [packed.indices.buffer as ArrayBuffer, packed.words.buffer as ArrayBuffer];
    const reply = await this.ask({ id: this.next++, do: "encode", mask: packed }, transfer);
    if (reply.counts === undefined) throw new Error(reply.error);
    return reply.counts;
  }

  /** `loadPixels` in the worker. */
  async load(
    size: Size,
    exclusive: boolean,
    geometries: readonly Geometry[],
  ): Promise<LoadedPixels> {
    if (!this.worker) return loadPixels(size, exclusive, geometries);
    const reply = await this.ask({ id: this.next++, do: "load", size, exclusive, geometries }, []);
    if (!reply.pixels) throw new Error(reply.error);
    return unpackPixels(reply.pixels, geometries);
  }

  private ask(request: CodecRequest, transfer: Transferable[]): Promise<CodecReply> {
    const { worker } = this;
    if (!worker) return Promise.resolve(answer(request));
    return new Promise((resolve) => {
      this.waiting.set(request.id, resolve);
      worker.postMessage(request, transfer);
    });
  }
}
