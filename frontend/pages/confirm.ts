/** A button with data-confirm asks first, in a dialog of the page's own. */
export function confirmSubmits(): void {
  let confirmed: HTMLElement | null = null;
  document.addEventListener(
    "submit",
    (event) => {
      const submitter = event.submitter;
      const question = submitter?.dataset.confirm;
      if (!submitter || !question) return;
      if (confirmed === submitter) {
        confirmed = null;
        return;
      }
      event.preventDefault();
      event.stopImmediatePropagation();
      ask(question, submitter.textContent?.trim() || submitter.title || "Continue", () => {
        confirmed = submitter;
        (event.target as HTMLFormElement).requestSubmit(submitter);
      });
    },
    { capture: true },
  );
}

function ask(question: string, verb: string, yes: () => void): void {
  const dialog = document.createElement("dialog");
  const form = document.createElement("form");
  form.method = "dialog";
  form.className = "stack";
  const words = document.createElement("p");
  words.textContent = question;
  const buttons = document.createElement("div");
  buttons.className = "row";
  buttons.append(button("Keep", "", "button"), button(verb, "yes", "button danger"));
  form.append(words, buttons);
  dialog.append(form);
  dialog.addEventListener("close", () => {
    dialog.remove();
    if (dialog.returnValue === "yes") yes();
  });
  document.body.append(dialog);
  dialog.showModal();
}

function button(text: string, value: string, className: string): HTMLButtonElement {
  const element = document.createElement("button");
  element.textContent = text;
  element.value = value;
  element.className = className;
  return element;
}
