import { createContext } from "preact";
import { useContext } from "preact/hooks";
import { type Command, keyLabel } from "./commands";
import type { Editor } from "./editor";

export interface Shared {
  readonly editor: Editor;
  /** With the keys that they have for this person; whoever reads it follows changes. */
  readonly commands: readonly Command[];
  /** With the keys that they come with. */
  readonly usual: readonly Command[];
}

export const SharedContext = createContext<Shared | null>(null);

export function useShared(): Shared {
  const shared = useContext(SharedContext);
  if (!shared) throw new Error("A panel outside of the editor.");
  return shared;
}

/** The first key of a command as people read it, empty when it has none. */
export function useKey(id: string): string {
  const keys = useShared().commands.find((one) => one.id === id)?.keys[0];
  return keys ? keyLabel(keys) : "";
}

export function useEditor(): Editor {
  return useShared().editor;
}
