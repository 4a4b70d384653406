import { type DecodeReply, type DecodeRequest, decode } from "./picture";

/** Decodes pictures and makes them smaller off the main thread. */
addEventListener("message", ({ data: { id, file } }: MessageEvent<DecodeRequest>) => {
  void decode(file).then(
    ({ bitmap, preview }) => {
      const reply: DecodeReply = { id, bitmap, preview };
      postMessage(reply, { transfer: preview ? [bitmap, preview] : [bitmap] });
    },
    (error: unknown) => {
      const reply: DecodeReply = { id, error: error instanceof Error ? error.message : `${error}` };
      postMessage(reply);
    },
  );
});
