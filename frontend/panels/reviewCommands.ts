import { api } from "../api/client";
import { once, reviewable } from "./actions";
import type { Command } from "./commands";
import type { Editor } from "./editor";
import { toast } from "./toasts";

/** What reviewers do without a mouse. */
export function reviewCommands(editor: Editor): readonly Command[] {
  const { comparison } = editor;
  const annotation = () => editor.workspace.value?.annotation ?? null;
  const comparing = () => comparison.way.value !== "off";
  return [
    {
      id: "review.compare",
      title: "Compare: overlay, blink, heat map, off",
      group: "Review",
      keys: ["Alt+X"],
      enabled: () => annotation() !== null,
      run: () => void comparison.cycle(),
    },
    {
      id: "review.base",
      title: "Compare with the next one",
      group: "Review",
      keys: ["Alt+B"],
      enabled: () => comparison.bases.value.length > 1,
      run: () => void comparison.nextBase(),
    },
    {
      id: "review.place",
      title: "Show the next difference",
      group: "Review",
      keys: ["Alt+N"],
      enabled: comparing,
      run: () => comparison.nextPlace(),
    },
    {
      id: "review.fix",
      title: "Correct it yourself before approving",
      group: "Review",
      keys: ["Alt+K"],
      enabled: () => reviewable(editor) && !annotation()?.fixing,
      run: () => void fix(editor),
    },
    {
      id: "review.comment",
      title: "Write a comment",
      group: "Review",
      keys: ["Alt+M"],
      enabled: () => annotation() !== null,
      run: () => document.querySelector<HTMLInputElement>(".review input[type=text]")?.focus(),
    },
  ];
}

export function fix(editor: Editor): Promise<void> {
  const { annotation, image } = editor.workspace.value ?? {};
  if (!annotation || !image) return Promise.resolve();
  return once(editor, image.name, async () => {
    await api.fix(annotation.id, annotation.revision);
    await editor.reload();
    toast("You can correct it now; approving keeps both names.");
  });
}
