import { answer, type CodecRequest } from "./codec";

/** Encodes and decodes masks off the main thread. */
addEventListener("message", ({ data }: MessageEvent<CodecRequest>) => {
  const reply = answer(data);
  const buffers = (reply.masks ?? []).flatMap(({ indices, words }) => [
    indices.buffer,
    words.buffer,
  ]);
  postMessage(reply, { transfer: buffers as ArrayBuffer[] });
});
