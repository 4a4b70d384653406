import { createContext } from "preact";
import { useContext } from "preact/hooks";
import type { Command } from "./commands";
import type { Editor } from "./editor";

export interface Shared {
  readonly editor: Editor;
  readonly commands: readonly Command[];
}

export const SharedContext = createContext<Shared | null>(null);

export function useShared(): Shared {
  const shared = useContext(SharedContext);
  if (!shared) throw new Error("A panel outside of the editor.");
  return shared;
}

export function useEditor(): Editor {
  return useShared().editor;
}
