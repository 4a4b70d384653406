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

  test.each([false, true])("geometries become pixels and labels (exclusive: %s)", async (alone) => {
    const ring = [0, 0, 40, 0, 40, 30, 0, 30];
    const { regions, labels } = await codec.load(SIZE, alone, [
      { type: "mask", counts: large.counts() },
      { type: "polygons", polygons: [[ring]] },
    ]);
    const [below, above] = regions;
    const hidden = alone ? 30 * 10 : 0;
    expect(below!.area).toBe(large.area() - hidden);
    expect(below!.mask.area()).toBe(large.area() - hidden);
    expect(below!.mask.subtract(large).isEmpty).toBe(true);
    expect(below!.bbox).toEqual(spans.bounds());
    expect(above!.bbox).toEqual({ x: 0, y: 0, width: 40, height: 30 });
    expect([labels.get(39, 29), labels.get(40, 30), labels.get(1509, 1219)]).toEqual([2, 1, 1]);
    expect([labels.get(9, 40), labels.get(1510, 1219)]).toEqual([0, 0]);
  });

  test("a broken mask is an error", async () => {
    await expect(codec.load(SIZE, false, [{ type: "mask", counts: "0" }])).rejects.toThrow(
      "pixels",
    );
  });
});
