import { computed, effect, signal } from "@preact/signals";
import { api } from "../api/client";
import { type Revision, restoreAll, restoreOne, type Step, stepsOf } from "../core/timeline";
import type { StoredRegion } from "../core/types";
import { regionFromWire, type WireRegion } from "../workers/wire";
import type { Editor } from "./editor";
import { toast, toastError } from "./toasts";

interface Look {
  readonly step: Step;
  readonly regions: readonly StoredRegion[];
}

/** What was saved in the open annotation, step by step; older states to look at and to restore. */
export class Timeline {
  private readonly revisions = signal<readonly Revision[]>([]);
  private readonly next = signal<number | null>(null);
  private readonly look = signal<Look | null>(null);
  /** Only what happened to this region; null: the whole image. */
  readonly region = signal<string | null>(null);
  readonly loading = signal(false);
  readonly steps = computed(() => stepsOf(this.revisions.value));
  readonly hasMore = computed(() => this.next.value !== null);
  /** The step after which things are shown as they were then. */
  readonly looking = computed(() => {
    const { base, way } = this.editor.comparison;
    const look = this.look.value;
    return look && base.value === keyOf(look.step) && way.value !== "off" ? look : null;
  });
  private ticket = 0;

  constructor(private readonly editor: Editor) {
    effect(() => {
      editor.workspace.value;
      this.region.value = null;
      this.look.value = null;
    });
  }

  /** Null while nothing of the image is saved. */
  get annotation(): number | null {
    const { saving, workspace } = this.editor;
    return saving.state.value?.annotation ?? workspace.value?.annotation?.id ?? null;
  }

  /** Asks for the newest steps, or for those before the oldest one that is here. */
  async load(older = false): Promise<void> {
    const { annotation } = this;
    const ticket = ++this.ticket;
    if (annotation === null) {
      this.revisions.value = [];
      this.next.value = null;
      return;
    }
    const after = older ? this.next.value : null;
    const region = this.region.value;
    this.loading.value = true;
    try {
      const page = await api.history(annotation, {
        ...(region ? { region } : {}),
        ...(after !== null ? { after } : {}),
      });
      if (ticket !== this.ticket) return;
      this.revisions.value =
        after !== null ? [...this.revisions.value, ...page.results] : page.results;
      this.next.value = page.next;
    } catch (error) {
      if (ticket === this.ticket) toastError(error, "History");
    } finally {
      if (ticket === this.ticket) this.loading.value = false;
    }
  }

  /** Shows how things were right after the step; twice: how they are now. */
  async show(step: Step): Promise<void> {
    const { annotation } = this;
    if (annotation === null) return;
    if (this.looking.value?.step.id === step.id) return this.end();
    try {
      const { regions } = await api.stateAfter(annotation, step.id);
      if (annotation !== this.annotation) return;
      const stored = regions.map((json) => regionFromWire(json as WireRegion));
      this.look.value = { step, regions: stored };
      const shapes = stored.map(({ categoryId, geometry }) => ({ category: categoryId, geometry }));
      this.editor.comparison.against(
        { key: keyOf(step), title: `As of ${timeOf(step.at)}` },
        shapes,
      );
    } catch (error) {
      toastError(error, "History");
    }
  }

  /** One step further back, or forward again; the newest step is how things are now. */
  async go(by: 1 | -1): Promise<void> {
    if (this.steps.value.length === 0) await this.load();
    const { steps, looking } = this;
    const at = steps.value.findIndex(({ id }) => id === looking.value?.step.id);
    const step = steps.value[Math.max(0, at) + by];
    if (step) await this.show(step);
    else if (by < 0) this.end();
    else toast("Nothing older is known here.");
  }

  end(): void {
    this.look.value = null;
    this.editor.comparison.forget();
  }

  /** The one region that can be restored alone: the selected one, else the only one of the step. */
  get restorable(): string | null {
    const look = this.looking.value;
    if (!look) return null;
    const { selection } = this.editor.viewState.value;
    const chosen = selection.length > 0 ? selection : look.step.regions;
    return chosen.length === 1 ? chosen[0]! : null;
  }

  restoreImage(): void {
    this.restore((regions) => {
      const { view, document } = this.editor;
      const doc = document.value!;
      const locked = (uuid: string) => {
        const region = doc.region(uuid);
        return region !== null && view.isLocked(region);
      };
      return restoreAll(doc, regions, locked) > 0;
    });
  }

  restoreRegion(uuid: string): void {
    this.restore((regions) => {
      const doc = this.editor.document.value!;
      const then = regions.find((one) => one.uuid === uuid) ?? null;
      return restoreOne(doc, uuid, then, this.editor.view.mayErase(doc));
    });
  }

  /** Restoring is a change like any other: saved by the same way, and undone by undo. */
  private restore(act: (regions: readonly StoredRegion[]) => boolean): void {
    const look = this.looking.value;
    const { editor } = this;
    if (!look || !editor.document.value || !editor.editable.value) return;
    editor.cancelGesture();
    try {
      this.refuseArchived(look.regions);
      const changed = act(look.regions);
      toast(changed ? `As of ${timeOf(look.step.at)} again.` : "Nothing was different then.");
      this.end();
    } catch (error) {
      toastError(error, "Restore");
    }
  }

  /** The server takes no region that gets an archived category. */
  private refuseArchived(then: readonly StoredRegion[]): void {
    const doc = this.editor.document.value;
    const archived = this.editor.categories.value.filter((one) => one.archived);
    for (const { uuid, categoryId } of then) {
      const category = archived.find(({ id }) => id === categoryId);
      const now = doc?.region(uuid);
      if (category && now && now.categoryId !== categoryId) {
        throw new Error(`The category ${category.name} is archived: a manager can restore it.`);
      }
    }
  }
}

function keyOf({ id }: Step): string {
  return `history-${id}`;
}

/** With the day, unless it is today. */
export function timeOf(at: string): string {
  const moment = new Date(at);
  const today = moment.toDateString() === new Date().toDateString();
  return moment.toLocaleString(undefined, {
    timeStyle: "medium",
    ...(today ? {} : { dateStyle: "medium" }),
  });
}
