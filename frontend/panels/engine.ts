import { signal } from "@preact/signals";
import { api } from "../api/client";
import type { ApiModel } from "../api/workspace";
import type { Candidate, Prompts, Size } from "../core/types";
import { Decoder, type DecoderState } from "../workers/decoder";
import { remembered } from "./preferences";
import { toast } from "./toasts";

/** So many images after the open one are encoded before somebody opens them. */
const AHEAD = 5;
/** A server that takes longer (milliseconds) so often in a row is not asked before the click. */
const QUICK_MS = 700;
const MAX_SLOW = 2;

/** Who answers clicks and boxes on the open image: this browser, or a model of the server. */
export class Engine {
  /** Those that answer clicks and boxes. */
  readonly models = signal<readonly ApiModel[]>([]);
  /** The one of them that was chosen; 0 lets the server choose. */
  readonly model = remembered<number>("model", 0);
  readonly state = signal<DecoderState>("server");
  /** The server is being asked. */
  readonly thinking = signal(false);
  private image = 0;
  private size: Size = { width: 0, height: 0 };
  private told = false;
  /** So many previews of the open image in a row were too slow. */
  private slow = 0;
  private readonly decoder = new Decoder(
    (image, model) => api.embed(image, model, AHEAD),
    (state) => {
      this.state.value = state;
    },
  );

  async load(): Promise<void> {
    const { results } = await api.models();
    this.models.value = results.filter(
      ({ state, roles }) => state === "ready" && roles.includes("prompt"),
    );
    if (!this.models.value.some(({ id }) => id === this.model.value)) this.model.value = 0;
  }

  /** Has the image encoded for the chosen model, and those that come after it. */
  open(image: number, size: Size): void {
    this.image = image;
    this.size = size;
    this.told = false;
    this.slow = 0;
    void this.decoder.open(image, this.model.value || null);
  }

  close(): void {
    this.decoder.close();
  }

  async segment(prompts: Prompts): Promise<readonly Candidate[]> {
    const here = await this.askHere(prompts);
    if (here) return here;
    this.thinking.value = true;
    return this.askServer(prompts).finally(() => {
      this.thinking.value = false;
    });
  }

  /** Of this browser, or of the classic engine while it keeps answering quickly; null else. */
  glance(prompts: Prompts): Promise<readonly Candidate[]> | null {
    if (this.state.value === "here") {
      return this.askHere(prompts).then((found) => found ?? []);
    }
    const usable = this.models.value;
    const chosen = usable.find(({ id }) => id === this.model.value);
    const answers = chosen ?? (usable.length === 1 ? usable[0] : undefined);
    if (answers?.engine !== "classic" || this.slow >= MAX_SLOW) return null;
    const began = performance.now();
    return this.askServer(prompts).finally(() => {
      this.slow = performance.now() - began > QUICK_MS ? this.slow + 1 : 0;
    });
  }

  private async askHere(prompts: Prompts): Promise<readonly Candidate[] | null> {
    const { model } = this.decoder;
    const found = await this.decoder.segment(prompts);
    const by = nameOf(this.models.value.find(({ id }) => id === model));
    return found?.map((one) => ({ ...one, by })) ?? null;
  }

  private async askServer({ points, box, mask }: Prompts): Promise<readonly Candidate[]> {
    const { width, height } = this.size;
    const reply = await api.segment(this.image, {
      model: this.answering(),
      points: [...points],
      box: box && [box.x, box.y, box.width, box.height],
      mask: mask && { size: [...mask.size], counts: mask.counts },
    });
    const model = this.models.value.find(({ name }) => name === reply.model);
    const by = nameOf(model) ?? reply.model;
    return reply.candidates.map(({ mask: { counts }, score }) => ({
      mask: { size: [height, width] as const, counts },
      score,
      by,
    }));
  }

  /** The chosen model; while its encoder is at work, the one that needs none. */
  private answering(): number | null {
    const chosen = this.model.value || null;
    const light = this.models.value.find(({ engine }) => engine === "classic");
    if (this.state.value !== "preparing" || !light) return chosen;
    if (!this.told) toast("The model is still preparing this image. Classic answers.");
    this.told = true;
    return light.id;
  }
}

const HASH_DIGITS = 8;

function nameOf(model: ApiModel | undefined): string | undefined {
  return model && [model.name, model.sha256.slice(0, HASH_DIGITS)].filter(Boolean).join(" ");
}
