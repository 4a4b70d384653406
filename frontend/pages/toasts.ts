const SHOWN_MS = 6000;

export type Level = "info" | "success" | "warning" | "error";

/** Messages go away by themselves, errors when a person closes them. */
export function dismissToasts(): void {
  const toasts = document.getElementById("toasts");
  if (!toasts) return;
  toasts.addEventListener("click", (event) => {
    if ((event.target as Element).closest("[data-dismiss]")) {
      (event.target as Element).closest(".toast")?.remove();
    }
  });
  for (const element of toasts.children) expire(element);
  new MutationObserver((changes) => {
    for (const change of changes) {
      for (const node of change.addedNodes) if (node instanceof Element) expire(node);
    }
  }).observe(toasts, { childList: true });
}

function expire(element: Element): void {
  if (!element.classList.contains("error")) setTimeout(() => element.remove(), SHOWN_MS);
}

export function toast(text: string, level: Level = "info"): void {
  const element = document.createElement("div");
  element.className = `toast ${level}`;
  if (level === "error") element.role = "alert";
  const words = document.createElement("p");
  words.textContent = text;
  const close = document.createElement("button");
  close.type = "button";
  close.className = "button ghost small";
  close.dataset.dismiss = "";
  close.textContent = "Close";
  element.append(words, close);
  document.getElementById("toasts")?.append(element);
}
