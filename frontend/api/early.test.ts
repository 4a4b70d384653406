import { expect, test, vi } from "vitest";
import type { PackedPixels } from "../core/loading";

const BOOT = { image: 7, annotation: null, levels: 1 };
const URL_ASKED = "http://here/api/images/7/workspace";

/** What the codec's worker is to the page: it hears one request, and a test says what it answers. */
class FakeWorker extends EventTarget {
  static made: FakeWorker[] = [];
  readonly heard: unknown[] = [];

  constructor() {
    super();
    FakeWorker.made.push(this);
  }

  postMessage(message: unknown): void {
    this.heard.push(message);
  }

  say(data: unknown): void {
    this.dispatchEvent(Object.assign(new Event("message"), { data }));
  }
}

async function load(): Promise<[typeof import("./early"), FakeWorker]> {
  vi.resetModules();
  vi.stubGlobal("Worker", FakeWorker);
  vi.stubGlobal("location", { href: "http://here/images/7/edit" });
  vi.stubGlobal("document", { getElementById: () => ({ textContent: JSON.stringify(BOOT) }) });
  const early = await import("./early");
  return [early, FakeWorker.made.at(-1)!];
}

const body = () => new TextEncoder().encode('{"image": 1}').buffer;
const pixels = {} as PackedPixels;

test("the reply and the pixels that the worker made of it are used once", async () => {
  const [early, worker] = await load();
  expect(worker.heard).toEqual([{ do: "open", url: URL_ASKED }]);
  worker.say({ said: { status: 200, body: body() } });
  expect(await (await early.earlyReply(URL_ASKED))!.json()).toEqual({ image: 1 });
  expect(early.earlyReply(URL_ASKED)).toBeUndefined();
  worker.say({ drawn: { annotation: 3, revision: 5, pixels } });
  expect(await early.earlyPixels(3, 5)).toBe(pixels);
  expect(await early.earlyPixels(3, 5)).toBeNull();
});

test("pixels of another state of the annotation are not used", async () => {
  const [early, worker] = await load();
  worker.say({ drawn: { annotation: 3, revision: 5, pixels } });
  expect(await early.earlyPixels(3, 6)).toBeNull();
});

test.each([
  ["does not reach the server", (worker: FakeWorker) => worker.say({ said: null })],
  ["does not start", (worker: FakeWorker) => worker.dispatchEvent(new Event("error"))],
])("when the worker %s, the page asks itself", async (_, fail) => {
  const [early, worker] = await load();
  const asked = vi.fn(async () => new Response("{}"));
  vi.stubGlobal("fetch", asked);
  const reply = early.earlyReply(URL_ASKED)!;
  fail(worker);
  worker.say({ drawn: null });
  expect((await reply).status).toBe(200);
  expect(asked).toHaveBeenCalledWith(URL_ASKED);
  expect(await early.earlyPixels(3, 5)).toBeNull();
});
