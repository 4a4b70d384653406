/** Longer side of a preview, pixels. */
export const PREVIEW_SIDE = 2048;

export interface DecodeRequest {
  readonly id: number;
  /** Or where it is. */
  readonly file: Blob | string;
}

export interface Decoded {
  readonly bitmap: ImageBitmap;
  /** The whole in fewer pixels; null for a small picture. */
  readonly preview: ImageBitmap | null;
}

export type DecodeReply = { readonly id: number } & (Decoded | { readonly error: string });

/** Decodes a file; the server sends it upright, so nothing is turned. */
export async function decode(file: Blob | string): Promise<Decoded> {
  const blob = typeof file === "string" ? await fetched(file) : file;
  const bitmap = await createImageBitmap(blob, { imageOrientation: "none" });
  return { bitmap, preview: await smaller(bitmap) };
}

async function fetched(url: string): Promise<Blob> {
  const reply = await fetch(url);
  if (!reply.ok) throw new Error(`The server answered ${reply.status}.`);
  return reply.blob();
}

export async function smaller(bitmap: ImageBitmap): Promise<ImageBitmap | null> {
  const scale = PREVIEW_SIDE / Math.max(bitmap.width, bitmap.height);
  if (scale > 0.7) return null;
  return createImageBitmap(bitmap, {
    resizeWidth: Math.max(1, Math.round(bitmap.width * scale)),
    resizeHeight: Math.max(1, Math.round(bitmap.height * scale)),
    resizeQuality: "low",
  });
}

/** Decodes in a worker, which `start` or the first file starts. */
export class PictureDecoder {
  private worker: Worker | null = null;
  private next = 1;
  private readonly waiting = new Map<number, (reply: DecodeReply) => void>();

  async decode(file: Blob | string): Promise<Decoded> {
    const worker = this.start();
    const id = this.next++;
    const reply = await new Promise<DecodeReply>((resolve) => {
      this.waiting.set(id, resolve);
      worker.postMessage({ id, file } satisfies DecodeRequest);
    });
    if ("error" in reply) throw new Error(reply.error);
    return reply;
  }

  start(): Worker {
    if (this.worker) return this.worker;
    const worker = new Worker(new URL("./picture.worker.ts", import.meta.url), { type: "module" });
    worker.addEventListener("message", ({ data }: MessageEvent<DecodeReply>) => {
      this.waiting.get(data.id)?.(data);
      this.waiting.delete(data.id);
    });
    worker.addEventListener("error", () => {
      this.worker = null;
      for (const [id, resolve] of this.waiting) resolve({ id, error: "The worker ended." });
      this.waiting.clear();
    });
    this.worker = worker;
    return worker;
  }
}
