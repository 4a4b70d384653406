import { answer, type CodecRequest } from "./codec";

/** Encodes and decodes masks off the main thread. */
addEventListener("message", ({ data }: MessageEvent<CodecRequest>) => {
  const reply = answer(data);
  const { pixels } = reply;
  const buffers = pixels
    ? [pixels.indices, pixels.words, pixels.labels.indices, pixels.labels.pixels]
    : [];
  postMessage(reply, { transfer: buffers.map(({ buffer }) => buffer as ArrayBuffer) });
});
