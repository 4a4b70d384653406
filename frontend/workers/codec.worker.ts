import { answer, type CodecRequest } from "./codec";

/** Encodes and decodes masks off the main thread. */
addEventListener("message", ({ data }: MessageEvent<CodecRequest>) => {
  const reply = answer(data);
  const { pixels } = reply;
  const buffers = pixels
    ? [pixels.indices.buffer, pixels.words.buffer, ...pixels.labels.slabs]
    : [];
  postMessage(reply, { transfer: buffers as ArrayBuffer[] });
});
