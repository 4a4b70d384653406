import type { Superpixels } from "../core/superpixels";
import type { Rect } from "../core/types";

export interface SuperpixelsRequest {
  readonly rgba: Uint8ClampedArray;
  readonly window: Rect;
  readonly spacing: number;
}

/** Cuts windows of the picture into patches in a worker, which starts with the first of them. */
export class SuperpixelCutter {
  private worker: Worker | null = null;
  private last: Promise<unknown> = Promise.resolve();

  /** Requests are answered one after the other. `rgba` is handed over. */
  cut(request: SuperpixelsRequest): Promise<Superpixels> {
    const answer = this.last.then(() => this.ask(request));
    this.last = answer.catch(() => undefined);
    return answer;
  }

  private ask(request: SuperpixelsRequest): Promise<Superpixels> {
    this.worker ??= new Worker(new URL("./superpixels.worker.ts", import.meta.url), {
      type: "module",
    });
    const { worker } = this;
    return new Promise((resolve, reject) => {
      worker.onmessage = ({ data }: MessageEvent<Superpixels>) => resolve(data);
      worker.onerror = () => {
        this.worker = null;
        reject(new Error("The superpixels could not be computed."));
      };
      worker.postMessage(request, [request.rgba.buffer as ArrayBuffer]);
    });
  }
}
