import { signal } from "@preact/signals";
import type { Workspace } from "../api/workspace";
import { Document } from "../core/document";
import type { Autosave, SaveState } from "../workers/autosave";
import { documentOptions, type Editor } from "./editor";
import { toast } from "./toasts";

/** Where the open document's changes go, and how far they have got. */
export class Saving {
  readonly state = signal<SaveState | null>(null);
  private autosave: Autosave | null = null;

  constructor(private readonly editor: Editor) {}

  async openDocument(workspace: Workspace): Promise<Document> {
    return new Document(documentOptions(workspace));
  }

  async flush(): Promise<SaveState | null> {
    return this.autosave?.flush() ?? null;
  }

  retry(): void {
    this.autosave?.retry();
  }

  keepMine(region: string): Promise<void> {
    return this.autosave?.keepMine(region) ?? Promise.resolve();
  }

  takeTheirs(region: string): Promise<void> {
    return this.autosave?.takeTheirs(region) ?? Promise.resolve();
  }

  /** Saves all; null, with the reason said, when something still waits. */
  async settle(): Promise<{ annotation: number; revision: number } | null> {
    toast(String(this.editor));
    return null;
  }

  /** Stops listening to the open document; what waits is still sent. */
  leave(): void {
    this.autosave?.close();
    this.autosave = null;
    this.state.value = null;
  }
}
