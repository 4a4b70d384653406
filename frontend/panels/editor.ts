import { computed, effect, type Signal, signal } from "@preact/signals";
import { ApiError, api } from "../api/client";
import type { Boot } from "../api/early";
import { type ApiComment, categoryOf, type Workspace } from "../api/workspace";
import { Input } from "../canvas/input";
import { DEFAULT_DISPLAY, type Display } from "../canvas/renderer";
import { Stage } from "../canvas/stage";
import type { Camera } from "../canvas/viewport";
import type { Document } from "../core/document";
import type { Gesture } from "../core/gesture";
import type { ToolContext } from "../core/tools/context";
import { TOOLS } from "../core/tools/registry";
import type { Category, Change, Point, Rect, StoredRegion, Tool } from "../core/types";
import { View, type ViewState } from "../core/view";
import { SuperpixelCutter } from "../workers/superpixels";
import { pickCategory } from "./actions";
import { Painter } from "./colors";
import { Comparison } from "./comparison";
import { Engine } from "./engine";
import { Holding } from "./holding";
import { whenIdle } from "./idle";
import { hotkeyOf, leaveField } from "./keys";
import { stillMarks } from "./marks";
import { Personal } from "./personal";
import { Picture } from "./picture";
import { remembered } from "./preferences";
import { Saving } from "./saving";
import { Showing } from "./showing";
import { Timeline } from "./timeline";
import { toast, toastError } from "./toasts";
import { drawVersion } from "./versions";

export type Phase =
  | { readonly state: "loading" }
  | { readonly state: "ready" }
  | { readonly state: "failed"; readonly error: ApiError };

export type Dialog =
  | "login"
  | "conflict"
  | "keys"
  | "palette"
  | "category"
  | "send-back"
  | "guidelines"
  | "skip"
  | null;

/** Milliseconds after opening in which the picture comes to the screen, and needs the processor. */
const SETTLED_MS = 1000;

/** Settings of the view that a browser remembers from image to image. */
const KEPT = [
  "colorBy",
  "showProposals",
  "minScore",
  "brushRadius",
  "brushShape",
  "brushPressure",
  "wandTolerance",
  "superpixelSize",
  "snapDistance",
  "sharedBorders",
  "onlyUnlabeled",
  "assistPreview",
] as const satisfies readonly (keyof ViewState)[];

/**
 * The open image and everything around it: fetches, shows, hands input to the tool, tells the
 * panels through signals. One for the life of the page.
 */
export class Editor {
  readonly phase = signal<Phase>({ state: "loading" });
  readonly workspace = signal<Workspace | null>(null);
  readonly document = signal<Document | null>(null);
  /** One more after each change that lists show. */
  readonly changes = signal(0);
  readonly view = new View();
  readonly viewState: Signal<ViewState>;
  readonly display = remembered<Display>("display", DEFAULT_DISPLAY);
  readonly toolName = remembered("tool", "brush");
  /** Whether the rulers are shown. */
  readonly rulers = remembered<boolean>("rulers", false);
  readonly pointer = signal<Point | null>(null);
  readonly camera = signal<Camera>({ scale: 1, x: 0, y: 0 });
  readonly activeProposal = signal<number | null>(null);
  readonly dialog = signal<Dialog>(null);
  readonly comments = signal<readonly ApiComment[]>([]);
  /** An action that talks to the server goes on. */
  readonly busy = signal(false);
  readonly categories = computed<readonly Category[]>(() =>
    (this.workspace.value?.categories ?? []).map(categoryOf),
  );
  readonly usableCategories = computed(() =>
    this.categories.value.filter(({ archived }) => !archived),
  );
  readonly editable = computed(() => {
    const workspace = this.workspace.value;
    return !!workspace && (workspace.annotation?.editable ?? workspace.may_start);
  });
  /** What the tool in hand says of itself. */
  readonly toolSays = signal("");
  /** It was said that the history of the open image is full. */
  private toldOfHistory = false;
  /** Where the search for unlabeled pixels goes on. */
  lastUnlabeled: Point | null = null;
  readonly engine = new Engine();
  readonly saving = new Saving();
  readonly holding = new Holding(this);
  readonly comparison: Comparison;
  readonly timeline = new Timeline(this);
  readonly personal = new Personal();
  readonly painter = new Painter();
  private readonly superpixels = new SuperpixelCutter();
  readonly stage: Stage;
  readonly showing: Showing;
  private readonly input: Input;
  private tool: Tool | null = null;
  private ticket = 0;
  private paletteStale = false;
  private readonly ahead = new Map<number, Promise<Workspace>>();
  private readonly kept = remembered<Partial<ViewState>>("view", pick(this.view.state));

  constructor(readonly boot: Boot) {
    this.view.set(this.kept.peek());
    this.viewState = signal(this.view.state);
    // `?renderer=2d` shows what a browser without WebGL2 gets.
    const renderer = new URLSearchParams(location.search).get("renderer");
    this.stage = new Stage(
      {
        still: () => stillMarks(this),
        live: () => this.liveMarks(),
        moved: () => {
          this.camera.value = this.stage.viewport.camera;
        },
      },
      renderer === "2d" ? "2d" : "webgl2",
    );
    this.showing = new Showing(this.stage);
    this.comparison = new Comparison(this);
    this.input = new Input(this.stage.element, this.stage.viewport, {
      tool: () => (this.editable.peek() ? this.tool : null),
      changed: () => this.toolChanged(),
      hover: (point) => this.hover(point),
      press: (point) => this.press(point),
    });
    this.view.subscribe((state) => {
      this.viewState.value = state;
      this.kept.value = pick(state);
      this.repaint();
      this.stage.invalidate();
    });
  }

  /** Puts the picture into the page and opens the first image. */
  start(container: HTMLElement): void {
    this.stage.mount(container);
    effect(() => this.prepareModel());
    this.askAboutConflicts();
    void this.open(this.boot.image, this.boot.annotation).then(() => this.saving.sweep());
    // Without an answer the ones that this browser remembers are used.
    void this.personal.load().catch(() => undefined);
    // Without an answer the server chooses the model.
    void this.engine.load().catch(() => undefined);
    addEventListener("popstate", () => {
      const match = /\/images\/(\d+)\/edit/.exec(location.pathname);
      const annotation = new URLSearchParams(location.search).get("annotation");
      if (match) void this.open(Number(match[1]), annotation ? Number(annotation) : null);
    });
  }

  /** Asks at once when a conflict turns up; whoever closes the question finds it in the top bar. */
  private askAboutConflicts(): void {
    const conflicting = computed(() => this.saving.state.value?.status === "conflict");
    effect(() => {
      if (conflicting.value && this.dialog.peek() === null) this.dialog.value = "conflict";
    });
  }

  // --- opening and leaving -----------------------------------------------------------------------

  /** Shows another image without loading a page. */
  async go(image: number, annotation: number | null = null): Promise<void> {
    const query = new URLSearchParams(location.search);
    query.delete("annotation");
    if (annotation) query.set("annotation", String(annotation));
    const search = query.size ? `?${query}` : "";
    history.pushState(null, "", `/images/${image}/edit${search}`);
    await this.open(image, annotation);
  }

  async open(image: number, annotation: number | null): Promise<void> {
    leaveField();
    this.ticket += 1;
    const { ticket } = this;
    this.close();
    this.phase.value = { state: "loading" };
    const ahead = annotation ? undefined : this.ahead.get(image);
    this.ahead.clear();
    try {
      const workspace = ahead ?? this.fetch(image, annotation);
      const told = workspace.then((found) => found.image);
      const known = image === this.boot.image ? this.boot : told;
      const shown = this.showing.open(image, known, told);
      shown.catch(() => undefined); // before it is waited for
      await this.fill(this.holding.given(await workspace), ticket);
      await shown;
      if (ticket !== this.ticket) return;
      this.phase.value = { state: "ready" };
      this.lookAhead();
      setTimeout(() => whenIdle((go) => this.document.peek()?.makeMasks(go) ?? true), SETTLED_MS);
    } catch (error) {
      if (ticket !== this.ticket) return;
      const known = error instanceof ApiError ? error : new ApiError(0, "error", String(error));
      this.phase.value = { state: "failed", error: known };
      if (known.status === 401) this.dialog.value = "login";
    }
  }

  /** Opens the same image again, as the server has it now. */
  async reload(): Promise<void> {
    const { workspace } = this;
    await this.saving.flush();
    const shown = workspace.value;
    if (!shown) return this.open(this.boot.image, this.boot.annotation);
    const own = new URLSearchParams(location.search).get("annotation");
    return this.open(shown.image.id, own ? Number(own) : null);
  }

  private close(): void {
    this.tool?.cancel();
    this.tool = null;
    this.saving.leave();
    this.document.value = null;
    this.workspace.value = null;
    this.activeProposal.value = null;
    this.lastUnlabeled = null;
    this.toldOfHistory = false;
    this.painter.highlighted = null;
    this.showing.clear();
  }

  private async fill(workspace: Workspace, ticket: number): Promise<void> {
    if (ticket !== this.ticket) return;
    const { annotation } = workspace;
    document.title = `${workspace.image.name} · ${workspace.project.name}`;
    this.showing.expect(workspace.image);
    const doc = await this.saving.open(workspace);
    if (ticket !== this.ticket) {
      this.saving.leave();
      return;
    }
    this.workspace.value = workspace;
    this.comments.value = annotation?.comments ?? [];
    this.painter.setCategories(this.categories.value);
    this.chooseCategory();
    this.view.set({
      selection: [],
      hiddenRegions: new Set(),
      solo: new Set(),
      lockedRegions: new Set(),
    });
    doc.subscribe((change) => this.changed(change));
    this.document.value = doc;
    this.stage.setLabels(doc.labels);
    this.repaint();
    this.selectTool(this.toolName.value);
    this.changes.value += 1;
  }

  private async fetch(image: number, annotation: number | null): Promise<Workspace> {
    await this.saving.prepare(image);
    return api.workspace(image, annotation);
  }

  /** Asks for what the next image will need. */
  private lookAhead(): void {
    const workspace = this.workspace.value;
    if (!workspace) return;
    const { next } = workspace;
    if (!next || this.boot.mode === "review") return;
    const reply = this.fetch(next, null);
    this.ahead.set(next, reply);
    reply.then(
      ({ image }) => {
        void Picture.warm(image);
      },
      () => this.ahead.delete(next),
    );
  }

  /** Has the open image encoded for the chosen model, and those that come after it. */
  private prepareModel(): void {
    const image = this.workspace.value?.image;
    this.engine.model.value;
    if (image && this.editable.value) this.engine.open(image.id, image);
    else this.engine.close();
  }

  // --- drawing -----------------------------------------------------------------------------------

  /** Without a pointer over the picture nothing that follows the pointer is drawn. */
  private liveMarks() {
    if (!this.editable.peek() || !this.tool) return [];
    const marks = this.tool.overlays();
    if (this.pointer.peek()) return marks;
    return marks.filter(
      (mark) =>
        mark.kind !== "circle" &&
        mark.kind !== "square" &&
        !(mark.kind === "mask" && mark.style === "hover"),
    );
  }

  private changed(change: Change): void {
    const doc = this.document.peek();
    if (!doc) return;
    if (change.dirty) this.stage.labelsChanged(change.dirty);
    if (change.final) {
      this.dropMissing(doc);
      this.tellOfHistory(doc);
      this.repaint();
      this.changes.value += 1;
    } else {
      for (const uuid of change.regions) {
        const region = doc.region(uuid);
        if (region && this.painter.paint(region, this.view))
          this.stage.setPalette(this.painter.palette);
      }
    }
    if (change.proposals.length) {
      this.changes.value += 1;
      this.stage.invalidateStill();
    }
    this.stage.invalidateLive();
  }

  private tellOfHistory({ history }: Document): void {
    if (history.dropped === 0 || this.toldOfHistory) return;
    this.toldOfHistory = true;
    toast("The undo history is full: from now on its oldest steps go.");
  }

  /** A selection never names a region that is gone. */
  private dropMissing(doc: Document): void {
    const { selection } = this.view.state;
    const left = selection.filter((uuid) => doc.region(uuid));
    if (left.length !== selection.length) this.view.select(...left);
  }

  /** Colours and flags of all regions, once before the next frame. */
  repaint(): void {
    if (this.paletteStale) return;
    this.paletteStale = true;
    queueMicrotask(() => {
      this.paletteStale = false;
      const doc = this.document.peek();
      if (!doc) return;
      this.painter.repaint(doc, this.view);
      this.stage.setPalette(this.painter.palette);
    });
  }

  // --- input -------------------------------------------------------------------------------------

  private hover(point: Point | null): void {
    this.pointer.value = point;
    const follows = this.tool?.name === "select" || !this.editable.peek();
    this.highlight(follows && point ? (this.regionAt(point)?.uuid ?? null) : null);
    this.stage.invalidateLive();
  }

  regionAt(point: Point) {
    const doc = this.document.peek();
    if (!doc) return null;
    return doc.bySlot(doc.slotAt(Math.floor(point.x), Math.floor(point.y)));
  }

  private press(point: Point): void {
    const region = this.regionAt(point);
    if (region) this.view.select(region.uuid);
    else this.view.select();
  }

  /** True when the tool used the key. */
  keyToTool(event: KeyboardEvent): boolean {
    if (!this.editable.value || !this.tool) return false;
    const used = this.tool.key(event.key, {
      shift: event.shiftKey,
      alt: event.altKey,
      ctrl: event.ctrlKey || event.metaKey,
    });
    if (used) this.toolChanged();
    return used;
  }

  /** Picks the category that the key stands for; true when there is one. */
  pickByHotkey(event: KeyboardEvent): boolean {
    if (event.ctrlKey || event.metaKey || event.altKey || !this.editable.value) return false;
    const key = event.key.toLowerCase();
    const found = this.usableCategories.value.find(
      ({ hotkey }, index) => hotkeyOf(hotkey, index).toLowerCase() === key,
    );
    if (found) pickCategory(this, found.id);
    return found !== undefined;
  }

  cancelGesture(): boolean {
    const cancelled = this.tool?.cancel() ?? false;
    if (cancelled) this.toolChanged();
    return cancelled;
  }

  selectTool(name: string): void {
    const entry = TOOLS.find((one) => one.name === name) ?? TOOLS[0];
    const doc = this.document.peek();
    if (!entry) return;
    this.tool?.cancel();
    this.toolName.value = entry.name;
    this.input.panning = entry.name === "pan";
    this.tool = doc ? entry.create(this.context(doc)) : null;
    this.showCursor();
    this.painter.highlighted = null;
    this.repaint();
    this.toolChanged();
  }

  private toolChanged(): void {
    this.toolSays.value = this.tool?.says?.() ?? "";
    this.stage.invalidateLive();
  }

  private context(doc: Document): ToolContext {
    const editor = this;
    return {
      doc,
      view: this.view,
      get categories() {
        return editor.categories.peek();
      },
      get scale() {
        return editor.stage.viewport.camera.scale;
      },
      pixels: (window: Rect) => this.showing.pixels(window),
      superpixels: async (window, spacing) => {
        const rgba = this.showing.pixels(window);
        return rgba ? this.superpixels.cut({ rgba, window, spacing }) : null;
      },
      segment: (prompts) => this.engine.segment(prompts),
      glance: (prompts) => this.engine.glance(prompts),
      later: (milliseconds, call) => {
        const timer = setTimeout(call, milliseconds);
        return () => clearTimeout(timer);
      },
      changed: () => this.toolChanged(),
      notify: (message) => toast(message),
    };
  }

  /** One undo step. Nothing happens while a gesture goes on or in an annotation of others. */
  edit(title: string, change: (gesture: Gesture, doc: Document) => void): void {
    const doc = this.document.peek();
    if (!doc || !this.editable.peek()) return;
    if (doc.gesture) this.cancelGesture();
    try {
      doc.edit(title, (gesture) => change(gesture, doc));
    } catch (error) {
      toastError(error, title);
    }
  }

  private chooseCategory(): void {
    const usable = this.usableCategories.value;
    const { categoryId } = this.view.state;
    if (!usable.some(({ id }) => id === categoryId)) {
      this.view.set({ categoryId: usable[0]?.id ?? null });
    }
    if (!usable.some(({ id }) => id === this.view.state.onlyOver)) {
      this.view.set({ onlyOver: null });
    }
  }

  /** Marks a region on the picture while the pointer is over its row. */
  highlight(uuid: string | null): void {
    if (uuid === this.painter.highlighted) return;
    this.painter.highlighted = uuid;
    this.repaint();
  }

  /** While the space bar is held, dragging moves the picture. */
  holdPan(held: boolean): void {
    this.input.panning = held || this.toolName.value === "pan";
    this.showCursor();
  }

  private showCursor(): void {
    const { dataset } = this.stage.element;
    if (this.input.panning) dataset.cursor = "grab";
    else dataset.cursor = this.editable.peek() ? (this.tool?.cursor ?? "default") : "default";
  }

  /** One version of a region over its part of the picture, the other one as a thin line. */
  drawVersion(
    canvas: HTMLCanvasElement,
    region: StoredRegion | null,
    other: StoredRegion | null,
  ): void {
    const doc = this.document.peek();
    const context = canvas.getContext("2d");
    const { picture } = this.showing;
    if (!doc || !context || !picture || !region) return;
    const color = this.categories.peek().find(({ id }) => id === region.categoryId)?.color;
    drawVersion(context, picture, doc.size, region, other, color ?? "#a3a3a3");
  }
}

function pick(state: ViewState): Partial<ViewState> {
  return Object.fromEntries(KEPT.map((name) => [name, state[name]]));
}
