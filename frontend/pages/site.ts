/** Every page but the editor: htmx for partial updates, and what forms cannot do by themselves. */

import "htmx.org";
import "./site.css";
import { followBell } from "./bell";
import { confirmSubmits } from "./confirm";
import { selectMany } from "./selection";
import { judgeByKey } from "./suspects";
import { followTheme } from "./theme";
import { dismissToasts, toast } from "./toasts";
import { setUpUploads } from "./upload";

followTheme();
dismissToasts();
confirmSubmits();
selectMany();

document
  .querySelector(".tabs [aria-current]")
  ?.scrollIntoView({ block: "nearest", inline: "center" });

const suspects = document.querySelector<HTMLElement>("[data-suspects]");
if (suspects) judgeByKey(suspects);
document.querySelector("[data-print]")?.addEventListener("click", () => window.print());

const bell = document.querySelector<HTMLElement>(".bell");
if (bell) followBell(bell);

const dropzone = document.querySelector<HTMLElement>("[data-upload]");
if (dropzone) setUpUploads(dropzone);

document.addEventListener("htmx:response:error", () => {
  toast("The server refused this. Load the page again to see how things stand.", "error");
});

/** After a row was added in place its form is empty again, ready for the next one. */
document.addEventListener("htmx:after:swap", (event) => {
  const source = (event as CustomEvent<{ ctx?: { sourceElement?: Element } }>).detail.ctx;
  const form = source?.sourceElement;
  if (!(form instanceof HTMLFormElement) || !form.hasAttribute("data-add")) return;
  if (document.querySelector("#toasts .error")) return;
  form.reset();
  form.querySelector<HTMLInputElement>("input[type=text]")?.focus();
});

document.addEventListener("click", (event) => {
  const target = event.target as Element;
  for (const menu of document.querySelectorAll<HTMLDetailsElement>("details.menu[open]")) {
    if (!menu.contains(target)) menu.open = false;
  }
  const copied = target.closest<HTMLElement>("[data-copy]");
  if (copied) {
    void navigator.clipboard
      .writeText(copied.dataset.copy ?? "")
      .then(() => toast("Copied.", "success"))
      .catch(() =>
        toast("The browser does not let this page copy. Select the text instead.", "error"),
      );
  }
});

document.addEventListener("keydown", (event) => {
  const typing = (event.target as Element).closest("input, select, textarea");
  if (event.key === "Escape") {
    const menu = document.querySelector<HTMLDetailsElement>("details.menu[open]");
    if (menu) {
      menu.open = false;
      menu.querySelector("summary")?.focus();
    }
  }
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey) {
    const search = document.querySelector<HTMLInputElement>("input[type=search]");
    if (search) {
      event.preventDefault();
      search.focus();
      search.select();
    }
  }
});
