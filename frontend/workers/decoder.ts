import type { Candidate, Prompts } from "../core/types";

export type DecoderRequest = {
  readonly id: number;
  readonly image: number;
  readonly model: number;
} & ({ readonly do: "load" } | { readonly do: "segment"; readonly prompts: Prompts });

export interface DecoderReply {
  readonly id: number;
  readonly candidates?: readonly Candidate[];
  readonly error?: string;
}

/** What `POST images/{id}/embed` answers. */
export interface Preparation {
  readonly state: "ready" | "queued" | "not_needed";
  readonly model: number;
  readonly decoder: boolean;
}

/**
 * Who answers clicks now. `preparing`: the encoder has not seen the image yet, so no one can;
 * `here`: this browser; `server`: the server, because the model is light, or because the decoder is
 * on its way or cannot run here.
 */
export type DecoderState = "preparing" | "server" | "here";

const AGAIN_MS = 1500;
/** So often it is asked whether there is a decoder after all. */
const MORE_TRIES = 20;

/** The worker as the decoder needs it. */
export type DecoderWorker = Pick<Worker, "postMessage" | "addEventListener" | "terminate">;

/** Answers clicks in this browser as soon as the open image is encoded. */
export class Decoder {
  state: DecoderState = "server";
  private readonly waiting = new Map<number, (reply: DecoderReply) => void>();
  private worker: DecoderWorker | null = null;
  private next = 1;
  private ticket = 0;
  private loaded: { image: number; model: number } | null = null;

  constructor(
    private readonly prepare: (image: number, model: number | null) => Promise<Preparation>,
    private readonly changed: (state: DecoderState) => void,
    private readonly start: () => DecoderWorker = startWorker,
    private readonly wait = AGAIN_MS,
  ) {}

  /** From now on prompts are about this image. `model` null: the one that the server chooses. */
  async open(image: number, model: number | null): Promise<void> {
    this.ticket += 1;
    const { ticket } = this;
    this.loaded = null;
    this.become("server");
    for (let more = MORE_TRIES; more > 0; ) {
      const found = await this.prepare(image, model).catch(() => null);
      if (ticket !== this.ticket || !found || found.state === "not_needed") return;
      if (found.state === "ready" && found.decoder) return this.load(image, found.model, ticket);
      this.become(found.state === "queued" ? "preparing" : "server");
      if (found.state === "ready") more -= 1;
      await new Promise((resolve) => setTimeout(resolve, this.wait));
      if (ticket !== this.ticket) return;
    }
  }

  close(): void {
    this.ticket += 1;
    this.loaded = null;
    this.become("server");
  }

  /** Whose decoder answers here; null while none does. */
  get model(): number | null {
    return this.loaded?.model ?? null;
  }

  /** The best candidate first; null when this browser cannot answer (now), or has no reason to. */
  async segment(prompts: Prompts): Promise<readonly Candidate[] | null> {
    const { points, box, mask } = prompts;
    if (!this.loaded || !(box || mask || points.some(({ positive }) => positive))) return null;
    const { ticket } = this;
    const { candidates } = await this.ask({ ...this.loaded, do: "segment", prompts });
    if (candidates || ticket !== this.ticket) return candidates ?? null;
    this.close();
    return null;
  }

  private async load(image: number, model: number, ticket: number): Promise<void> {
    this.become("server");
    const { error } = await this.ask({ image, model, do: "load" });
    if (ticket !== this.ticket || error !== undefined) return;
    this.loaded = { image, model };
    this.become("here");
  }

  private become(state: DecoderState): void {
    if (state === this.state) return;
    this.state = state;
    this.changed(state);
  }

  private ask(request: Unnumbered): Promise<DecoderReply> {
    const worker = this.worker ?? this.begin();
    const id = this.next++;
    return new Promise((resolve) => {
      this.waiting.set(id, resolve);
      worker.postMessage({ ...request, id });
    });
  }

  private begin(): DecoderWorker {
    const worker = this.start();
    worker.addEventListener("message", (event) => {
      const { data } = event as MessageEvent<DecoderReply>;
      this.waiting.get(data.id)?.(data);
      this.waiting.delete(data.id);
    });
    worker.addEventListener("error", () => {
      this.worker = null;
      worker.terminate();
      for (const [id, resolve] of this.waiting) resolve({ id, error: "The worker ended." });
      this.waiting.clear();
    });
    this.worker = worker;
    return worker;
  }
}

type Unnumbered = DecoderRequest extends infer One
  ? One extends unknown
    ? Omit<One, "id">
    : never
  : never;

function startWorker(): DecoderWorker {
  return new Worker(new URL("./decoder.worker.ts", import.meta.url), { type: "module" });
}
