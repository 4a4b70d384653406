const SHOWN_MS = 6000;

export type Level = "info" | "success" | "warning" | "error";

/** Messages go away by themselves, errors when a person closes them. */
export function dismissToasts(): void {
  document.addEventListener("click", (event) => {
    const target = event.target as Element;
    if (target.closest("[data-dismiss]")) target.closest(".toast")?.remove();
  });
  document.addEventListener("htmx:after:swap", expire);
  expire();
}

function expire(): void {
  for (const element of document.querySelectorAll<HTMLElement>(
    ".toast:not(.error, [data-timed])",
  )) {
    element.dataset.timed = "";
    setTimeout(() => element.remove(), SHOWN_MS);
  }
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
  expire();
}
