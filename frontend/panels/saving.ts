import { signal } from "@preact/signals";
import { api, send } from "../api/client";
import { codecWorker, earlyPixels } from "../api/early";
import { categoryOf, proposalOf, type Workspace } from "../api/workspace";
import { Document } from "../core/document";
import { type LoadedPixels, loadingOrder, unpackPixels } from "../core/loading";
import type { Geometry, StoredRegion } from "../core/types";
import type { Autosave, HandedIn, SaveState } from "../workers/autosave";
import { Codec } from "../workers/codec";
import { IdbOutbox } from "../workers/outbox";
import { LockSessions, pageClock, Saver } from "../workers/saver";
import { regionFromWire, type WireRegion } from "../workers/wire";
import { ActiveTime } from "./activity";

/** Up to that many regions are decoded faster here than by asking the worker. */
const FEW_REGIONS = 8;

/** Where the open document's changes go, and how far they have got. */
export class Saving {
  /** Null while nothing is open that could be changed. */
  readonly state = signal<SaveState | null>(null);
  /** Who is logged in; the outbox of others is not touched. */
  private me: Promise<{ id: number; username: string }> | null = null;
  private saver: Promise<Saver> | null = null;
  private autosave: Autosave | null = null;
  private readonly codec = new Codec(codecWorker());
  private readonly active = new ActiveTime();

  constructor() {
    addEventListener("online", () => {
      this.retry();
      this.sweep();
    });
    addEventListener("beforeunload", (event) => {
      // What is stored here survives; only what could not be stored is worth a question.
      if (this.state.value && !this.state.value.stored && this.state.value.pending > 0) {
        event.preventDefault();
      }
    });
  }

  /** The person whose work this page saves. */
  owner(): Promise<{ id: number; username: string }> {
    this.me ??= api.me().catch((error: unknown) => {
      this.me = null;
      throw error;
    });
    return this.me;
  }

  private start(): Promise<Saver> {
    this.saver ??= this.owner().then(
      ({ id }) => {
        const saver = new Saver({
          user: id,
          outbox: new IdbOutbox(),
          send,
          clock: pageClock,
          sessions: new LockSessions(),
          newUuid: () => crypto.randomUUID(),
          encode: (mask) => this.codec.encode(mask),
        });
        return saver;
      },
      (error: unknown) => {
        this.saver = null;
        throw error;
      },
    );
    return this.saver;
  }

  /** Sends what still waits for that image; call before its regions are fetched. */
  async prepare(image: number): Promise<void> {
    const { saver } = this;
    if (saver) await (await saver).settle(image);
    // Nothing runs before the first one is opened.
    else void this.start().catch(() => undefined);
  }

  /** Sends what tabs that were closed or killed left behind. */
  sweep(): void {
    // What cannot be sent now stays in the outbox for the next time.
    void this.start()
      .then((saver) => saver.sweep())
      .catch(() => undefined);
  }

  /** The document of a workspace, with what waits to be sent on top, saved from now on. */
  async open(workspace: Workspace): Promise<Document> {
    const { image, project, annotation } = workspace;
    const size = { width: image.width, height: image.height };
    let regions: readonly StoredRegion[] = (annotation?.regions ?? []).map((json) =>
      regionFromWire(json as WireRegion),
    );
    let dismissed: readonly number[] = annotation?.dismissed ?? [];
    let pixels = annotation && this.firstPixels(workspace, annotation, regions);
    let autosave: Autosave | null = null;
    if (annotation?.editable ?? workspace.may_start) {
      const saver = await this.start();
      autosave = await saver.open({
        scope: { image: image.id, kind: project.kind, size },
        annotation: annotation?.id ?? null,
        revision: annotation?.revision ?? 0,
        versions: new Map((annotation?.regions ?? []).map(({ uuid, version }) => [uuid, version])),
        takeSeconds: () => this.active.take(),
      });
      const restored = autosave.restored(regions);
      if (restored.length !== regions.length || restored.some((one, at) => one !== regions[at])) {
        regions = restored;
        pixels = this.pixels(workspace, regions);
      }
      dismissed = autosave.restoredDismissals(dismissed);
    }
    const things = new Set(workspace.categories.filter((one) => one.is_thing).map(({ id }) => id));
    const attributes = new Map(
      workspace.categories.map(categoryOf).map((one) => [one.id, one.attributes]),
    );
    const made = await pixels;
    const doc = new Document({
      size,
      kind: project.kind,
      isThing: (category) => things.has(category),
      attributesOf: (category) => attributes.get(category) ?? [],
      newUuid: () => crypto.randomUUID(),
      regions,
      proposals: workspace.proposals.map(proposalOf),
      dismissed,
      ...(made ? { pixels: made } : {}),
    });
    if (autosave) this.follow(autosave, doc);
    return doc;
  }

  /** `pixels`, of a workspace that the server has just sent; they may be under way. */
  private firstPixels(
    workspace: Workspace,
    { id, revision }: NonNullable<Workspace["annotation"]>,
    regions: readonly StoredRegion[],
  ): Promise<LoadedPixels | null> {
    const made = earlyPixels(id, revision).then((early) =>
      early
        ? unpackPixels(early, geometriesOf(workspace, regions))
        : this.pixels(workspace, regions),
    );
    made.catch(() => undefined); // before it is waited for
    return made;
  }

  /** What the worker makes of many regions, asked for at once; null of few. */
  private pixels(
    workspace: Workspace,
    regions: readonly StoredRegion[],
  ): Promise<LoadedPixels> | null {
    if (regions.length <= FEW_REGIONS) return null;
    const { width, height } = workspace.image;
    const exclusive = workspace.project.kind !== "instance";
    const made = this.codec.load({ width, height }, exclusive, geometriesOf(workspace, regions));
    made.catch(() => undefined); // before it is waited for
    return made;
  }

  private follow(autosave: Autosave, doc: Document): void {
    this.leave();
    this.autosave = autosave;
    this.active.take();
    autosave.attach(doc);
    autosave.subscribe((state) => {
      if (this.autosave === autosave) this.state.value = state;
    });
    this.state.value = autosave.state;
  }

  async flush(): Promise<SaveState | null> {
    return this.autosave?.flush() ?? null;
  }

  /** Saves all that waits, and says which revision that is; null when something still waits. */
  async settle(): Promise<number | null> {
    const state = await this.flush();
    return state?.status === "saved" ? state.revision : null;
  }

  /** Saves what waits and hands the annotation in. */
  async submit(): Promise<HandedIn> {
    return this.autosave?.submit() ?? "unsaved";
  }

  retry(): void {
    void this.saver?.then((saver) => saver.retry());
  }

  keepMine(region: string): Promise<void> {
    return this.autosave?.keepMine(region) ?? Promise.resolve();
  }

  takeTheirs(region: string): Promise<void> {
    return this.autosave?.takeTheirs(region) ?? Promise.resolve();
  }

  /** Looks at the open document no more; what waits is still sent. */
  leave(): void {
    const { autosave } = this;
    this.autosave = null;
    this.state.value = null;
    if (autosave) void this.saver?.then((saver) => saver.close(autosave));
  }
}

function geometriesOf({ project }: Workspace, regions: readonly StoredRegion[]): Geometry[] {
  return loadingOrder(project.kind, regions).map(({ geometry }) => geometry);
}
