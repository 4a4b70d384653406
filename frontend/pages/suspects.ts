/** One key per verdict: 1 right, 2 wrong, 3 skip; arrows move from card to card. */

const VERDICTS: Record<string, string> = { "1": "right", "2": "wrong", "3": "skip" };

export function judgeByKey(list: HTMLElement): void {
  const cards = (): HTMLElement[] => [...list.querySelectorAll<HTMLElement>(":scope > li")];
  cards()[0]?.focus({ preventScroll: true });

  document.addEventListener("keydown", (event) => {
    const target = event.target as Element;
    if (event.ctrlKey || event.metaKey || event.altKey || target.closest("input, select, summary"))
      return;
    const all = cards();
    const place = Math.max(0, all.indexOf(target.closest<HTMLElement>("li") as HTMLElement));
    const move = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    const verdict = VERDICTS[event.key];
    if (move) all[place + move]?.focus();
    else if (verdict) {
      const next = all[place + 1] ?? all[place - 1];
      all[place]?.querySelector<HTMLButtonElement>(`button[value="${verdict}"]`)?.click();
      next?.focus();
    } else return;
    event.preventDefault();
  });
}
