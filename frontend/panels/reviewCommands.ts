import { api } from "../api/client";
import { once, reviewable } from "./actions";
import type { Command } from "./commands";
import type { Editor } from "./editor";
import { toast } from "./toasts";

/** What reviewers do without a mouse. */
export function reviewCommands(editor: Editor): readonly Command[] {
  const { comparison, timeline } = editor;
  const annotation = () => editor.workspace.value?.annotation ?? null;
  const comparing = () => comparison.way.value !== "off";
  return [
    {
      id: "review.compare",
      title: "Compare: overlay, blink, heat map, the other alone, off",
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
      id: "history.older",
      title: "History: look one step back",
      group: "Review",
      keys: ["Alt+,"],
      enabled: () => timeline.annotation !== null,
      run: () => void timeline.go(1),
    },
    {
      id: "history.newer",
      title: "History: one step forward again",
      group: "Review",
      keys: ["Alt+."],
      enabled: () => timeline.looking.value !== null,
      run: () => void timeline.go(-1),
    },
    {
      id: "history.restore",
      title: "Restore the image as it is shown",
      group: "Review",
      keys: ["Alt+R"],
      enabled: () => timeline.looking.value !== null && editor.editable.value,
      run: () => timeline.restoreImage(),
    },
    {
      id: "history.restoreRegion",
      title: "Restore the selected region as it is shown",
      group: "Review",
      keys: ["Alt+Shift+R"],
      enabled: () => timeline.restorable !== null && editor.editable.value,
      run: () => timeline.restoreRegion(timeline.restorable ?? ""),
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
