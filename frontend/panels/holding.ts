import { effect, signal } from "@preact/signals";
import { ApiError, api } from "../api/client";
import type { components } from "../api/schema";
import type { Workspace } from "../api/workspace";
import type { Editor } from "./editor";
import { toast } from "./toasts";

type Lease = components["schemas"]["Lease"];
type Pulled = components["schemas"]["Pulled"];

/** Milliseconds between two signs of life. */
const BEAT = 60_000;

/**
 * Holds what the queue gave: says now and then that somebody is there, and hands back what is left
 * before anything was drawn.
 */
export class Holding {
  readonly lease = signal<Lease | null>(null);
  private next: Pulled | null = null;

  constructor(private readonly editor: Editor) {
    effect(() => {
      const lease = editor.workspace.value?.lease ?? null;
      if (!lease) return;
      this.lease.value = lease;
      return () => this.leave();
    });
    setInterval(() => {
      if (document.visibilityState === "visible") void this.beat();
    }, BEAT);
    addEventListener("pagehide", () => this.giveBack());
    addEventListener("pageshow", (event) => {
      if (event.persisted) void this.beat();
    });
  }

  /** The queue gave this; its workspace may have been fetched before. */
  expect(next: Pulled): void {
    this.next = next;
  }

  /** The workspace with what the queue gave since it was fetched. */
  given(workspace: Workspace): Workspace {
    const { next } = this;
    this.next = null;
    if (next?.image !== workspace.image.id || !next.lease) return workspace;
    return { ...workspace, lease: next.lease, may_start: true };
  }

  private async beat(): Promise<void> {
    const lease = this.lease.peek();
    if (!lease) return;
    try {
      const now = await api.heartbeat(lease.id);
      if (this.lease.peek() === lease) this.lease.value = now;
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 409) return;
      this.lease.value = null;
      toast(`${error.message} ${error.hint}`, "error");
    }
  }

  private leave(): void {
    this.giveBack();
    this.lease.value = null;
  }

  /** What was begun waits for its person until the lease ends. */
  private giveBack(): void {
    const lease = this.lease.peek();
    if (!lease) return;
    const revision = this.editor.saving.state.peek()?.revision ?? 0;
    const begun = revision > 0 || !!this.editor.document.peek()?.history.undoTitle;
    if (lease.purpose === "review" || !begun) api.handBack(lease.id);
  }
}
