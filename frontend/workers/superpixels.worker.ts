import { superpixels } from "../core/superpixels";
import type { SuperpixelsRequest } from "./superpixels";

/** Cuts pictures into patches off the main thread. */
addEventListener("message", ({ data }: MessageEvent<SuperpixelsRequest>) => {
  const found = superpixels(data.rgba, data.window, data.spacing);
  postMessage(found, { transfer: [found.labels.buffer as ArrayBuffer] });
});
