import { api } from "../api/client";
import type { Keymap } from "./keymap";
import { remembered } from "./preferences";
import { toast } from "./toasts";

export interface Preferences {
  readonly keys: Keymap;
  /** Tools on the right, lists on the left. */
  readonly leftHanded: boolean;
}

/**
 * What a person wants of the editor. The server has it, for every machine of the person; this
 * browser remembers the last answer, so that the page comes up right at once.
 */
export class Personal {
  private readonly state = remembered<Preferences>("personal", { keys: {}, leftHanded: false });

  get value(): Preferences {
    return this.state.value;
  }

  async load(): Promise<void> {
    const { keys, left_handed } = await api.preferences();
    this.state.value = { keys: keys ?? {}, leftHanded: left_handed };
  }

  /** Takes effect at once, also where the server cannot be told. */
  async set(change: Partial<Preferences>): Promise<void> {
    this.state.value = { ...this.state.value, ...change };
    const { keys, leftHanded } = this.state.value;
    const told = { keys: keys as Record<string, string[]>, left_handed: leftHanded };
    await api.keepPreferences(told).catch(() => {
      toast("The server was not reached: only this browser remembers it.", "error");
    });
  }
}
