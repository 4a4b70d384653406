import { loadingOrder, loadPixels, type PackedPixels, packPixels } from "../core/loading";
import type { ProjectKind, Size } from "../core/types";
import {
  answer,
  type CodecReply,
  type CodecRequest,
  type DrawnReply,
  type OpenReply,
  type OpenRequest,
} from "./codec";
import { regionFromWire, type WireRegion } from "./wire";

/** Encodes and decodes masks off the main thread. */
addEventListener("message", ({ data }: MessageEvent<CodecRequest | OpenRequest>) => {
  if (data.do === "open") void open(data.url);
  else send(answer(data));
});

function send(reply: CodecReply): void {
  postMessage(reply, { transfer: reply.pixels ? buffersOf(reply.pixels) : [] });
}

interface OpenedWorkspace {
  readonly project: { readonly kind: ProjectKind };
  readonly image: Size;
  readonly annotation: {
    readonly id: number;
    readonly revision: number;
    readonly regions: readonly WireRegion[];
  } | null;
}

/** Hands on what the server says of a workspace, and draws its regions while the page reads that. */
async function open(url: string): Promise<void> {
  let said: OpenReply["said"] = null;
  let drawn: DrawnReply["drawn"] = null;
  try {
    const reply = await fetch(url);
    const body = await reply.arrayBuffer();
    const text = reply.ok ? new TextDecoder().decode(body) : "";
    said = { status: reply.status, body };
    postMessage({ said } satisfies OpenReply, { transfer: [body] });
    if (text) drawn = draw(JSON.parse(text) as OpenedWorkspace);
  } catch {
    // The page does without: it asks once more, or says what is wrong with a region.
    if (!said) postMessage({ said } satisfies OpenReply);
  }
  postMessage({ drawn } satisfies DrawnReply, { transfer: drawn ? buffersOf(drawn.pixels) : [] });
}

function draw({ project: { kind }, image, annotation }: OpenedWorkspace): DrawnReply["drawn"] {
  if (!annotation) return null;
  const { id, revision } = annotation;
  const regions = loadingOrder(kind, annotation.regions.map(regionFromWire));
  const size = { width: image.width, height: image.height };
  const geometries = regions.map(({ geometry }) => geometry);
  const pixels = packPixels(loadPixels(size, kind !== "instance", geometries));
  return { annotation: id, revision, pixels };
}

function buffersOf({ indices, words, labels }: PackedPixels): ArrayBuffer[] {
  return [indices.buffer, words.buffer, ...labels.slabs] as ArrayBuffer[];
}
