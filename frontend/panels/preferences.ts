import { effect, type Signal, signal } from "@preact/signals";

/** A signal that this browser remembers. Values of another shape than `initial` are dropped. */
export function remembered<T>(name: string, initial: T): Signal<T> {
  const key = `labeler.${name}`;
  const state = signal(read(key, initial));
  effect(() => {
    try {
      localStorage.setItem(key, JSON.stringify(state.value));
    } catch {
      // Storage that is full or forbidden costs the memory of a setting, nothing else.
    }
  });
  return state;
}

function read<T>(key: string, initial: T): T {
  try {
    const found: unknown = JSON.parse(localStorage.getItem(key) ?? "null");
    if (found === null || typeof found !== typeof initial) return initial;
    if (typeof initial !== "object" || Array.isArray(initial)) return found as T;
    const known = Object.entries(found as object).filter(
      ([name, value]) => typeof value === typeof (initial as Record<string, unknown>)[name],
    );
    return { ...initial, ...Object.fromEntries(known) };
  } catch {
    return initial;
  }
}
