import type * as Ort from "onnxruntime-web/wasm";
import type { Candidate, Prompts, Rle } from "../core/types";
import type { DecoderReply, DecoderRequest } from "./decoder";
import { type Embedding, readEmbedding } from "./embedding";
import { parts } from "./parts";
import { boxOf, lowResolution, thresholded } from "./resampling";
import { best, inWasm, type Runtime } from "./runtime";

/**
 * Runs a model's mask decoder (`inference/engines/sam_export.py`) off the main thread: its part for
 * the image when that is opened, and once the part for clicks, so that the first click finds all of
 * it warm; a previous mask has a part of its own.
 */

/** Kept for whoever goes back. */
const MAX_IMAGES = 4;
/** The encoder's pixels along one cell of its grid; a cell becomes 4 × 4 logits. */
const CELL = 16;
const FINE = 4;
const NEGATIVE = 0;
const POSITIVE = 1;
const CORNERS = [2, 3];
const PADDING = -1;
/** Of the decoder's masks: one for prompts that leave little doubt, three for a single point. */
const SINGLE = [0];
const SEVERAL = [1, 2, 3];
/** Browsers compile what has run some times; a model's first image has so many clicks of nobody. */
const WARM_UPS = 4;

let runtime: Promise<Runtime> | null = null;

interface Model {
  readonly Tensor: typeof Ort.Tensor;
  readonly image: Ort.InferenceSession;
  readonly mask: Ort.InferenceSession;
  readonly click: Ort.InferenceSession;
}

/** What clicks need of an image; `known` is what the image part gave. */
interface Opened extends Pick<Embedding, "size" | "seen" | "side"> {
  readonly known: Ort.InferenceSession.OnnxValueMapType;
  /** What the mask part gave for the last answer, which the next click most likely refines. */
  last: { readonly counts: string; readonly hidden: Ort.Tensor } | null;
}

const models = new Map<number, Promise<Model>>();
const warm = new Set<number>();
const images = new Map<string, Opened>();

async function fetched(url: string): Promise<Response> {
  const reply = await fetch(url);
  if (!reply.ok) throw new Error(`The server answered ${reply.status}.`);
  return reply;
}

async function modelOf(id: number): Promise<Model> {
  let known = models.get(id);
  if (!known) {
    known = created(id);
    models.set(id, known);
    known.catch(() => models.delete(id));
  }
  return known;
}

async function created(id: number): Promise<Model> {
  const reply = await fetched(`/api/models/${id}/decoder`);
  const { image, mask, click } = parts(new Uint8Array(await reply.arrayBuffer()));
  if (!image || !mask || !click) throw new Error("The decoder is of another kind.");
  runtime ??= best();
  const { ort, options, gpu } = await runtime;
  const kept = gpu ? { ...options, preferredOutputLocation: "gpu-buffer" as const } : options;
  return {
    Tensor: ort.Tensor,
    image: await ort.InferenceSession.create(image, kept),
    mask: await ort.InferenceSession.create(mask, kept),
    click: await ort.InferenceSession.create(click, options),
  };
}

/** A GPU that cannot do it after all is not asked again. */
async function load(image: number, model: number): Promise<void> {
  try {
    await open(image, model);
  } catch (error) {
    if (!(await runtime)?.gpu) throw error;
    runtime = inWasm();
    models.clear();
    warm.clear();
    images.clear();
    await open(image, model);
  }
}

async function open(image: number, model: number): Promise<void> {
  const key = `${image}:${model}`;
  const ready = modelOf(model);
  if (images.has(key)) return;
  const reply = await fetched(`/api/images/${image}/embedding?model=${model}`);
  if (!reply.body) throw new Error("The embedding is empty.");
  const { features, channels, side, size, seen } = await readEmbedding(reply.body);
  const ours = await ready;
  const known = await ours.image.run({
    features: new ours.Tensor(features, [1, channels, side, side]),
    rows: integers(ours.Tensor, cells(seen.height, side)),
    columns: integers(ours.Tensor, cells(seen.width, side)),
  });
  const opened: Opened = { known, side, size, seen, last: null };
  await warmUp(ours, opened, warm.has(model) ? 1 : WARM_UPS);
  warm.add(model);
  images.set(key, opened);
  const [oldest] = images.keys();
  if (images.size <= MAX_IMAGES) return;
  const { known: unused, last } = images.get(oldest!)!;
  for (const tensor of Object.values(unused)) tensor.dispose();
  last?.hidden.dispose();
  images.delete(oldest!);
}

async function warmUp(model: Model, opened: Opened, times: number): Promise<void> {
  const { width, height } = opened.size;
  const points = [{ x: width / 2, y: height / 2, positive: true }];
  let mask: Prompts["mask"] = null;
  for (; times > 0; times--) {
    const [found] = await candidates(model, opened, { points, box: null, mask });
    mask = found?.mask ?? null;
    if (mask) await foresee(model, opened, mask);
  }
}

/** Logits of the grid's part that the image has, of each of the masks `kinds`, and predicted IoU. */
async function decoded(model: Model, opened: Opened, prompts: Prompts, kinds: readonly number[]) {
  const { Tensor } = model;
  const { points, labels } = tokens(prompts, opened);
  const hidden = await before(model, opened, prompts.mask);
  const { masks, scores } = await model.click.run({
    ...opened.known,
    hidden,
    points: new Tensor(new Float32Array(points), [1, labels.length, 2]),
    labels: new Tensor(new Float32Array(labels), [1, labels.length]),
    kinds: integers(Tensor, kinds),
  });
  hidden.dispose();
  const [, height, width] = masks!.dims;
  return {
    logits: masks!.data as Float32Array,
    iou: scores!.data as Float32Array,
    grid: { width: width!, height: height! },
  };
}

/**
 * What a previous mask says of each cell of the grid; of none, one row of zeros. Whoever asks
 * disposes of it.
 */
async function before(model: Model, opened: Opened, previous: Prompts["mask"]) {
  const { side, last } = opened;
  if (!previous) return new model.Tensor(new Float32Array(side * side), [1, side * side]);
  if (last?.counts !== previous.counts) return shrunk(model, opened, previous);
  opened.last = null;
  return last.hidden;
}

async function shrunk({ Tensor, mask }: Model, { seen, side }: Opened, previous: Rle) {
  const low = FINE * side;
  const logits = new Tensor(lowResolution(previous, low, seen), [1, 1, low, low]);
  return (await mask.run({ mask: logits })).hidden!;
}

/** Makes of an answer what the next click needs of it, before that comes. */
async function foresee(model: Model, opened: Opened, mask: Rle): Promise<void> {
  if (opened.last?.counts === mask.counts) return;
  const hidden = await shrunk(model, opened, mask);
  opened.last?.hidden.dispose();
  opened.last = { counts: mask.counts, hidden };
}

/** How many cells pixels of the image are enlarged from, with the neighbour of the last one. */
function cells(seen: number, side: number): readonly number[] {
  return [...Array(Math.min(side, Math.floor(seen / CELL) + 1)).keys()];
}

function integers(Tensor: Model["Tensor"], values: readonly number[]): Ort.Tensor {
  return new Tensor(BigInt64Array.from(values, BigInt), [values.length]);
}

async function segment(image: number, model: number, prompts: Prompts): Promise<Candidate[]> {
  const opened = images.get(`${image}:${model}`);
  if (!opened) throw new Error("The image was not loaded.");
  return candidates(await modelOf(model), opened, prompts);
}

async function candidates(model: Model, opened: Opened, prompts: Prompts): Promise<Candidate[]> {
  // One click may mean a part, an object or the whole; more prompts leave little doubt.
  const several = prompts.points.length === 1 && !prompts.box && !prompts.mask;
  const kinds = several ? SEVERAL : SINGLE;
  const { logits, iou, grid } = await decoded(model, opened, prompts, kinds);
  const area = grid.width * grid.height;
  const found: Candidate[] = [];
  for (const index of kinds.keys()) {
    const part = logits.subarray(index * area, (index + 1) * area);
    const counts = thresholded(part, grid, opened.seen, opened.size);
    if (counts === null) continue;
    const score = Math.min(1, Math.max(0, iou[index]!));
    found.push({ mask: { size: [opened.size.height, opened.size.width], counts }, score });
  }
  return found.sort((a, b) => b.score - a.score);
}

/** Points and corners in the encoder's pixels, with the kind of each. */
function tokens({ points, box, mask }: Prompts, { size, seen }: Pick<Embedding, "size" | "seen">) {
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

/** The work that the next click is spared; one that fails is done at the click. */
async function lookAhead({ image, model }: DecoderRequest, { candidates: found }: DecoderReply) {
  const opened = images.get(`${image}:${model}`);
  const best = found?.[0]?.mask;
  if (!opened || !best) return;
  await foresee(await modelOf(model), opened, best).catch(() => undefined);
}

addEventListener("message", async ({ data }: MessageEvent<DecoderRequest>) => {
  const reply = await answer(data);
  postMessage(reply);
  await lookAhead(data, reply);
});
