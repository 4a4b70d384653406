import { signal } from "@preact/signals";
import { ApiError } from "../api/client";
import { Icon } from "./icons";

interface Toast {
  readonly id: number;
  readonly text: string;
  readonly hint: string;
  readonly tone: "info" | "error";
}

const toasts = signal<readonly Toast[]>([]);
let last = 0;

function drop(id: number): void {
  toasts.value = toasts.value.filter((toast) => toast.id !== id);
}

/** Says something in the corner; errors stay until they are closed. */
export function toast(text: string, tone: Toast["tone"] = "info", hint = ""): void {
  if (toasts.value.some((other) => other.text === text)) return;
  last += 1;
  const id = last;
  toasts.value = [...toasts.value.slice(-3), { id, text, hint, tone }];
  if (tone === "info") setTimeout(() => drop(id), 4000);
}

/** Tells of a failure, with the name of what it was about. */
export function toastError(error: unknown, about = ""): void {
  const prefix = about ? `${about}: ` : "";
  if (error instanceof ApiError) toast(prefix + error.message, "error", error.hint);
  else toast(prefix + (error instanceof Error ? error.message : String(error)), "error");
}

export function Toasts() {
  return (
    <div class="toasts" role="status" aria-live="polite">
      {toasts.value.map((item) => (
        <div key={item.id} class={`toast ${item.tone}`}>
          <div>
            <p>{item.text}</p>
            {item.hint && <p class="hint">{item.hint}</p>}
          </div>
          <button
            type="button"
            class="button ghost icon-only small"
            aria-label="Close this message"
            onClick={() => drop(item.id)}
          >
            <Icon name="close" />
          </button>
        </div>
      ))}
    </div>
  );
}
