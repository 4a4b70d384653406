/** The choice between system, light and dark takes effect at once; the cookie tells the server. */
export function followTheme(): void {
  const form = document.querySelector<HTMLFormElement>("[data-theme-form]");
  form?.addEventListener("submit", (event) => {
    const theme = (event.submitter as HTMLButtonElement | null)?.value;
    if (!theme) return;
    event.preventDefault();
    void fetch(form.action, { method: "POST", body: new FormData(form, event.submitter) });
    if (theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    for (const button of form.querySelectorAll<HTMLButtonElement>("button[name=theme]")) {
      button.setAttribute("aria-pressed", String(button.value === theme));
    }
  });
}
