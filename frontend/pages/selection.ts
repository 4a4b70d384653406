/** Picking many images: shift picks a range, the bar says how many, Escape lets go. */
export function selectMany(): void {
  const form = document.querySelector<HTMLFormElement>("#selection");
  if (!form) return;
  const count = form.querySelector<HTMLElement>("[data-count]");
  let last: HTMLInputElement | null = null;

  const boxes = () => [...document.querySelectorAll<HTMLInputElement>(".pick input")];
  const refresh = () => {
    const picked = boxes().filter((box) => box.checked).length;
    form.hidden = picked === 0;
    if (count) count.textContent = `${picked} selected`;
  };

  document.addEventListener("click", (event) => {
    const target = event.target as Element;
    if (target.matches(".pick input")) {
      const box = target as HTMLInputElement;
      const all = boxes();
      if (event.shiftKey && last?.isConnected) {
        const [from, to] = [all.indexOf(last), all.indexOf(box)].sort((a, b) => a - b);
        for (const other of all.slice(from, to)) other.checked = box.checked;
      }
      last = box;
      refresh();
    } else if (target.closest("[data-select-all]")) {
      for (const box of boxes()) box.checked = true;
      refresh();
    } else if (target.closest("[data-select-none]")) {
      clear();
    }
  });

  const clear = () => {
    for (const box of boxes()) box.checked = false;
    refresh();
  };
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !form.hidden) clear();
  });
  document.addEventListener("htmx:after:swap", refresh);
  // One field with all ids: a form may hold many more images than a request may hold fields.
  form.addEventListener("formdata", (event) => {
    const ids = event.formData.getAll("images").join(",");
    event.formData.delete("images");
    event.formData.set("images", ids);
  });
  refresh();
}
