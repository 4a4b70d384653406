import { describe, expect, test } from "vitest";
import { Mask } from "../core/mask";
import { rectSpans } from "../core/testing";
import { answer, Codec, type CodecRequest } from "./codec";

const SIZE = { width: 2000, height: 1500 };
const spans = rectSpans(SIZE, { x: 10, y: 20, width: 1500, height: 1200 });
const large = Mask.fromBitmap(SIZE, spans.bounds()!, new Uint8Array(1500 * 1200).fill(1));

/** A worker as far as the codec uses it, that copies messages as a real one does. */
class FakeWorker {
  private listener: (event: { data: unknown }) => void = () => undefined;
  requests = 0;

  addEventListener(type: string, listener: (event: { data: unknown }) => void): void {
    if (type === "message") this.listener = listener;
  }

  postMessage(request: CodecRequest, transfer: Transferable[]): void {
    this.requests++;
    const copy = structuredClone(request, { transfer: transfer as ArrayBuffer[] });
    queueMicrotask(() => this.listener({ data: structuredClone(answer(copy)) }));
  }
}

describe.each(["a worker", "no worker"])("with %s", (name) => {
  const worker = name === "a worker" ? new FakeWorker() : null;
  const codec = new Codec(worker as unknown as Worker | null);

  test("masks are encoded, and stay what they are", async () => {
    const counts = large.counts();
    expect(await codec.encode(large)).toBe(counts);
    expect(large.counts()).toBe(counts);
    if (worker) expect(worker.requests).toBe(1);
  });

  test("regions are decoded by UUID", async () => {
    const region = {
      uuid: "a",
      categoryId: 1,
      order: 0,
      isCrowd: false,
      attributes: {},
      source: "",
      proposalId: null,
      geometry: { type: "mask", counts: large.counts() } as const,
    };
    const ring = [0, 0, 40, 0, 40, 30, 0, 30];
    const drawn = {
      ...region,
      uuid: "b",
      geometry: { type: "polygons", polygons: [[ring]] } as const,
    };
    const masks = await codec.decode(SIZE, [region, drawn]);
    expect(masks.get("a")!.equals(large)).toBe(true);
    expect(masks.get("b")!.bbox()).toEqual({ x: 0, y: 0, width: 40, height: 30 });
  });

  test("a broken mask is an error", async () => {
    const region = { uuid: "a", geometry: { type: "mask", counts: "0" } } as never;
    await expect(codec.decode(SIZE, [region])).rejects.toThrow("pixels");
  });
});
