import loader from "onnxruntime-web/ort-wasm-simd-threaded.mjs?url";
import wasm from "onnxruntime-web/ort-wasm-simd-threaded.wasm?url";
import * as ort from "onnxruntime-web/wasm";
import type { Candidate, Prompts } from "../core/types";
import type { DecoderReply, DecoderRequest } from "./decoder";
import { type Embedding, readEmbedding } from "./embedding";
import { boxOf, lowResolution, thresholded } from "./resampling";

/** Runs a model's mask decoder (`inference/engines/sam_export.py`) off the main thread. */

const MAX_THREADS = 4;
/** Kept for whoever goes back. */
const MAX_EMBEDDINGS = 4;
const NEGATIVE = 0;
const POSITIVE = 1;
const CORNERS = [2, 3];
const PADDING = -1;

ort.env.wasm.wasmPaths = { mjs: loader, wasm };
ort.env.wasm.numThreads = self.crossOriginIsolated
  ? Math.min(MAX_THREADS, navigator.hardwareConcurrency)
  : 1;

const sessions = new Map<number, Promise<ort.InferenceSession>>();
const embeddings = new Map<string, Embedding>();

async function fetched(url: string): Promise<Response> {
  const reply = await fetch(url);
  if (!reply.ok) throw new Error(`The server answered ${reply.status}.`);
  return reply;
}

async function session(model: number): Promise<ort.InferenceSession> {
  let known = sessions.get(model);
  if (!known) {
    known = fetched(`/api/models/${model}/decoder`)
      .then((reply) => reply.arrayBuffer())
      .then((onnx) => ort.InferenceSession.create(onnx, { executionProviders: ["wasm"] }));
    sessions.set(model, known);
    known.catch(() => sessions.delete(model));
  }
  return known;
}

async function load(image: number, model: number): Promise<void> {
  const key = `${image}:${model}`;
  const ready = session(model);
  if (!embeddings.has(key)) {
    const reply = await fetched(`/api/images/${image}/embedding?model=${model}`);
    if (!reply.body) throw new Error("The embedding is empty.");
    embeddings.set(key, await readEmbedding(reply.body));
    const [oldest] = embeddings.keys();
    if (embeddings.size > MAX_EMBEDDINGS) embeddings.delete(oldest!);
  }
  await ready;
}

async function segment(image: number, model: number, prompts: Prompts): Promise<Candidate[]> {
  const embedding = embeddings.get(`${image}:${model}`);
  if (!embedding) throw new Error("The image was not loaded.");
  const { size, seen, features, channels, side } = embedding;
  const low = 4 * side;
  const { points, labels } = tokens(prompts, embedding);
  const before = prompts.mask ? lowResolution(prompts.mask, low, seen) : null;
  const run = await session(model);
  const { masks, scores } = await run.run({
    features: new ort.Tensor(features, [1, channels, side, side]),
    points: new ort.Tensor(new Float32Array(points), [1, labels.length, 2]),
    labels: new ort.Tensor(new Float32Array(labels), [1, labels.length]),
    mask: new ort.Tensor(before ?? new Float32Array(low * low), [1, 1, low, low]),
    has_mask: new ort.Tensor(new Float32Array([before ? 1 : 0]), [1]),
  });
  const logits = masks!.data as Float32Array;
  const iou = scores!.data as Float32Array;
  // One click may mean a part, an object or the whole; more prompts leave little doubt.
  const several = prompts.points.length === 1 && !prompts.box && !prompts.mask;
  const found: Candidate[] = [];
  for (const index of several ? [1, 2, 3] : [0]) {
    const part = logits.subarray(index * low * low, (index + 1) * low * low);
    const counts = thresholded(part, low, seen, size);
    if (counts === null) continue;
    const score = Math.min(1, Math.max(0, iou[index]!));
    found.push({ mask: { size: [size.height, size.width], counts }, score });
  }
  return found.sort((a, b) => b.score - a.score);
}

/** Points and corners in the encoder's pixels, with the kind of each. */
function tokens({ points, box, mask }: Prompts, { size, seen }: Embedding) {
  const across = seen.width / size.width;
  const down = seen.height / size.height;
  const places: number[] = [];
  const labels: number[] = [];
  for (const { x, y, positive } of points) {
    places.push(x * across, y * down);
    labels.push(positive ? POSITIVE : NEGATIVE);
  }
  const around = box ?? (points.length || !mask ? null : boxOf(mask));
  if (around) {
    const { x, y, width, height } = around;
    places.push(Math.max(0, x) * across, Math.max(0, y) * down);
    places.push(Math.min(size.width, x + width) * across);
    places.push(Math.min(size.height, y + height) * down);
    labels.push(...CORNERS);
  } else {
    places.push(0, 0);
    labels.push(PADDING);
  }
  return { points: places, labels };
}

async function answer(request: DecoderRequest): Promise<DecoderReply> {
  const { id, image, model } = request;
  try {
    if (request.do === "load") {
      await load(image, model);
      return { id };
    }
    return { id, candidates: await segment(image, model, request.prompts) };
  } catch (error) {
    return { id, error: error instanceof Error ? error.message : String(error) };
  }
}

addEventListener("message", ({ data }: MessageEvent<DecoderRequest>) => {
  void answer(data).then((reply) => postMessage(reply));
});
