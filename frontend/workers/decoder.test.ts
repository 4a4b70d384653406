import { describe, expect, it, vi } from "vitest";
import { countsToRuns, runsToCounts } from "../core/rle";
import type { Candidate, Prompts } from "../core/types";
import {
  Decoder,
  type DecoderReply,
  type DecoderRequest,
  type DecoderState,
  type Preparation,
} from "./decoder";
import { readEmbedding } from "./embedding";
import { parts } from "./parts";
import { boxOf, lowResolution, thresholded } from "./resampling";

const CLICK: Prompts = { points: [{ x: 1, y: 1, positive: true }], box: null, mask: null };
const CANDIDATE: Candidate = { mask: { size: [4, 4], counts: "0" }, score: 1 };

/** Answers at once; `fails` are the requests that do not succeed. */
function fakeWorker(fails: readonly string[] = []) {
  const listeners: ((event: MessageEvent<DecoderReply>) => void)[] = [];
  return {
    addEventListener: (kind: string, listener: unknown) => {
      if (kind === "message") listeners.push(listener as (typeof listeners)[number]);
    },
    postMessage: (request: DecoderRequest) => {
      const { id } = request;
      const failed = fails.includes(request.do);
      const data = failed
        ? { id, error: "No." }
        : { id, ...(request.do === "segment" && { candidates: [CANDIDATE] }) };
      for (const listener of listeners) listener({ data } as MessageEvent<DecoderReply>);
    },
    terminate: vi.fn(),
  };
}

function decoder(replies: readonly Preparation[], fails: readonly string[] = []) {
  const states: DecoderState[] = [];
  let asked = 0;
  const prepare = async () => replies[Math.min(asked++, replies.length - 1)]!;
  const made = new Decoder(
    prepare,
    (state) => states.push(state),
    () => fakeWorker(fails) as never,
    1,
  );
  return { made, states, asked: () => asked };
}

const QUEUED: Preparation = { state: "queued", model: 3, decoder: false };
const READY: Preparation = { state: "ready", model: 3, decoder: true };

describe("who answers clicks", () => {
  it("waits for the encoder, then answers here", async () => {
    const { made, states } = decoder([QUEUED, QUEUED, READY]);
    const opened = made.open(1, null);
    expect(await made.segment(CLICK)).toBeNull();
    await opened;
    expect(states).toEqual(["preparing", "server", "here"]);
    expect(await made.segment(CLICK)).toEqual([CANDIDATE]);
    const negative = { ...CLICK, points: [{ x: 1, y: 1, positive: false }] };
    expect(await made.segment(negative)).toBeNull();
  });

  it("leaves light models to the server", async () => {
    const { made, states } = decoder([{ state: "not_needed", model: 1, decoder: false }]);
    await made.open(1, null);
    expect(states).toEqual([]);
    expect(await made.segment(CLICK)).toBeNull();
  });

  it("stops asking for an image that was closed", async () => {
    const { made, asked } = decoder([QUEUED]);
    const opened = made.open(1, null);
    made.close();
    await opened;
    expect(asked()).toBe(1);
    expect(made.state).toBe("server");
  });

  it("leaves it to the server when the decoder does not run here", async () => {
    const loading = decoder([READY], ["load"]);
    await loading.made.open(1, null);
    expect(loading.made.state).toBe("server");
    const running = decoder([READY], ["segment"]);
    await running.made.open(1, null);
    expect(await running.made.segment(CLICK)).toBeNull();
    expect(running.made.state).toBe("server");
  });
});

describe("masks and logits", () => {
  const seen = { width: 64, height: 48 };
  const size = { width: 130, height: 97 };

  it("enlarges in two bilinear steps, as torch does", () => {
    const low = 16;
    const logits = Float32Array.from({ length: low * low }, (_, i) => Math.sin(i * 7.3) + 0.1);
    const step =
      (from: (x: number, y: number) => number, w: number, h: number, sx: number, sy: number) =>
      (x: number, y: number) => {
        const at = (i: number, scale: number, n: number) => {
          const place = Math.max(0, (i + 0.5) * scale - 0.5);
          const left = Math.floor(place);
          return [left, Math.min(left + 1, n - 1), place - left] as const;
        };
        const [l, r, u] = at(x, sx, w);
        const [t, b, v] = at(y, sy, h);
        return (
          (from(l, t) * (1 - u) + from(r, t) * u) * (1 - v) +
          (from(l, b) * (1 - u) + from(r, b) * u) * v
        );
      };
    const square = step((x, y) => logits[y * low + x]!, low, low, 1 / 4, 1 / 4);
    const full = step(
      square,
      seen.width,
      seen.height,
      seen.width / size.width,
      seen.height / size.height,
    );
    const runs = countsToRuns(thresholded(logits, { width: low, height: low }, seen, size)!, size);
    const pixels = runs.flatMap((run, i) => Array<number>(run).fill(i % 2));
    let different = 0;
    for (let x = 0; x < size.width; x++) {
      for (let y = 0; y < size.height; y++) {
        const value = full(x, y);
        if (Math.abs(value) > 1e-5 && pixels[x * size.height + y] !== Number(value > 0))
          different++;
      }
    }
    expect(different).toBe(0);
    expect(
      thresholded(new Float32Array(low * low).fill(-1), { width: low, height: low }, seen, size),
    ).toBeNull();
  });

  it("needs no logits of the padding", () => {
    const low = 16;
    const logits = Float32Array.from({ length: low * low }, (_, i) => Math.sin(i * 0.7));
    const whole = thresholded(logits, { width: low, height: low }, seen, size);
    const part = logits.subarray(0, low * (seen.height / 4 + 1));
    expect(thresholded(part, { width: low, height: part.length / low }, seen, size)).toBe(whole);
  });

  it("averages a mask, and finds its box", () => {
    // The left half of 8 × 8 pixels, of which the encoder saw 64 × 64.
    const mask = { size: [8, 8] as const, counts: runsToCounts([0, 32, 32]) };
    const logits = lowResolution(mask, 16, { width: 64, height: 64 });
    expect(logits[0]).toBe(8);
    expect(logits[7]).toBe(8);
    expect(logits[8]).toBe(-8);
    expect(boxOf(mask)).toEqual({ x: 0, y: 0, width: 4, height: 8 });
    expect(boxOf({ size: [8, 8], counts: runsToCounts([64]) })).toBeNull();
    const flat = lowResolution({ size: [8, 8], counts: runsToCounts([0, 64]) }, 16, seen);
    expect(flat[11 * 16]).toBe(8);
    expect(flat[12 * 16]).toBe(-8); // below the image is padding
  });
});

describe("a decoder's file", () => {
  it("holds models by name", () => {
    const head = {
      parts: [
        { name: "image", bytes: 2 },
        { name: "click", bytes: 1 },
      ],
    };
    const text = new TextEncoder().encode(`${JSON.stringify(head)}\n`);
    const found = parts(new Uint8Array([...text, 10, 20, 30]));
    expect([...found.image!, ...found.click!]).toEqual([10, 20, 30]);
    expect(() => parts(new Uint8Array([...text, 10, 20]))).toThrow("damaged");
  });
});

describe("stored embeddings", () => {
  it("are read as they were written", async () => {
    const head = {
      signature: "a:b",
      size: [6, 8],
      arrays: [
        { name: "features", dtype: "float16", shape: [1, 2, 2] },
        { name: "input", dtype: "int32", shape: [2] },
      ],
    };
    const halves = [0x3c00, 0xc100, 0x0001, 0x7bff]; // 1, -2.5, the smallest, 65504
    const body = [...halves.map((half) => half & 255), ...halves.map((half) => half >> 8)];
    const planes = [48, 64, 0, 0, 0, 0, 0, 0];
    const text = new TextEncoder().encode(`${JSON.stringify(head)}\n`);
    const packed = new Blob([text, new Uint8Array([...body, ...planes])])
      .stream()
      .pipeThrough(new CompressionStream("gzip"));
    const found = await readEmbedding(packed as ReadableStream<Uint8Array>);
    expect([...found.features]).toEqual([1, -2.5, 2 ** -24, 65504]);
    expect(found.seen).toEqual({ height: 48, width: 64 });
    expect(found.size).toEqual({ height: 6, width: 8 });
  });
});
