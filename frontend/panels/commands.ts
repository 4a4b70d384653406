import { TOOLS } from "../core/tools/registry";
import * as actions from "./actions";
import { copyPrevious } from "./copyPrevious";
import type { Editor } from "./editor";
import type { IconName } from "./icons";
import { regionCommands } from "./regionCommands";
import { reviewCommands } from "./reviewCommands";
import { toast } from "./toasts";

export type Group =
  | "Tools"
  | "Edit"
  | "Regions"
  | "Proposals"
  | "View"
  | "Image"
  | "Review"
  | "Help";

export interface Command {
  readonly id: string;
  readonly title: string;
  readonly group: Group;
  /** As `keysOf` writes them; the first one is shown. */
  readonly keys: readonly string[];
  readonly icon?: IconName;
  /** False: the key goes to the next command that has it. */
  readonly enabled?: () => boolean;
  readonly run: () => void;
}

/** Everything that a key, the cheat-sheet or the command palette can do. */
export function makeCommands(editor: Editor): readonly Command[] {
  const { view } = editor;
  const editable = () => editor.editable.value && editor.document.value !== null;
  const selected = () => editable() && view.state.selection.length > 0;
  const proposal = () => editable() && editor.activeProposal.value !== null;
  const proposals = () => editable() && actions.proposalsShown(editor).length > 0;
  const history = () => editor.document.value?.history;
  const mode = editor.boot.mode;

  return [
    {
      id: "proposal.accept",
      title: "Accept the proposal",
      group: "Proposals",
      keys: ["Enter", "A"],
      enabled: proposal,
      run: () => actions.acceptProposal(editor),
    },
    {
      id: "proposal.dismiss",
      title: "Dismiss the proposal",
      group: "Proposals",
      keys: ["D"],
      enabled: proposal,
      run: () => actions.dismissProposal(editor),
    },
    {
      id: "proposal.next",
      title: "Next proposal",
      group: "Proposals",
      keys: ["N"],
      enabled: proposals,
      run: () => actions.stepProposal(editor, 1),
    },
    {
      id: "proposal.previous",
      title: "Previous proposal",
      group: "Proposals",
      keys: ["Shift+N"],
      enabled: proposals,
      run: () => actions.stepProposal(editor, -1),
    },
    {
      id: "proposal.acceptAll",
      title: "Accept all proposals shown",
      group: "Proposals",
      keys: ["Ctrl+Shift+Y"],
      enabled: proposals,
      run: () => actions.acceptAll(editor),
    },
    {
      id: "proposal.dismissAll",
      title: "Dismiss all proposals shown",
      group: "Proposals",
      keys: [],
      enabled: proposals,
      run: () => actions.dismissAll(editor),
    },
    {
      id: "proposal.toggle",
      title: "Show or hide proposals",
      group: "Proposals",
      keys: ["Shift+P"],
      run: () => view.set({ showProposals: !view.state.showProposals }),
    },
    ...TOOLS.map(
      (tool): Command => ({
        id: `tool.${tool.name}`,
        title: tool.title,
        group: "Tools",
        keys: [tool.hotkey.toUpperCase()],
        enabled: () => actions.toolUsable(editor, tool),
        run: () => editor.selectTool(tool.name),
      }),
    ),
    {
      id: "edit.undo",
      title: "Undo",
      group: "Edit",
      keys: ["Ctrl+Z"],
      icon: "undo",
      enabled: () => editable() && !!history()?.undoTitle,
      run: () => actions.undo(editor),
    },
    {
      id: "edit.redo",
      title: "Redo",
      group: "Edit",
      keys: ["Ctrl+Shift+Z", "Ctrl+Y"],
      icon: "redo",
      enabled: () => editable() && !!history()?.redoTitle,
      run: () => actions.redo(editor),
    },
    {
      id: "edit.delete",
      title: "Delete the selected regions",
      group: "Edit",
      keys: ["Delete", "Backspace"],
      icon: "trash",
      enabled: selected,
      run: () => actions.deleteSelected(editor),
    },
    {
      id: "edit.selectAll",
      title: "Select all regions",
      group: "Edit",
      keys: ["Ctrl+A"],
      enabled: () => editor.document.value !== null,
      run: () => view.select(...(editor.document.value?.regions ?? []).map(({ uuid }) => uuid)),
    },
    {
      id: "edit.attributes",
      title: "Fill in the attributes",
      group: "Edit",
      keys: ["Shift+A"],
      enabled: editable,
      run: () => actions.fillIn(editor),
    },
    {
      id: "edit.front",
      title: "Bring to the front",
      group: "Edit",
      keys: ["Ctrl+]"],
      icon: "front",
      enabled: () => selected() && !editor.document.value?.exclusive,
      run: () => actions.reorder(editor, "front"),
    },
    {
      id: "edit.back",
      title: "Send to the back",
      group: "Edit",
      keys: ["Ctrl+["],
      icon: "behind",
      enabled: () => selected() && !editor.document.value?.exclusive,
      run: () => actions.reorder(editor, "back"),
    },
    ...regionCommands(editor),
    {
      id: "edit.cancel",
      title: "Cancel, or select nothing",
      group: "Edit",
      keys: ["Escape"],
      run: () => actions.stepBack(editor),
    },
    {
      id: "brush.smaller",
      title: "Smaller brush",
      group: "Tools",
      keys: ["["],
      run: () => actions.scaleBrush(editor, 1 / 1.15),
    },
    {
      id: "brush.larger",
      title: "Larger brush",
      group: "Tools",
      keys: ["]"],
      run: () => actions.scaleBrush(editor, 1.15),
    },
    {
      id: "paint.unlabeled",
      title: "Paint only where nothing is labeled",
      group: "Tools",
      keys: ["U"],
      enabled: editable,
      run: () => view.set({ onlyUnlabeled: !view.state.onlyUnlabeled, onlyOver: null }),
    },
    {
      id: "view.fit",
      title: "Fit the image",
      group: "View",
      keys: ["0", "Home"],
      icon: "fit",
      run: () => editor.stage.viewport.fit(),
    },
    {
      id: "view.actual",
      title: "100 %",
      group: "View",
      keys: ["Ctrl+0"],
      run: () => editor.stage.viewport.zoomBy(1 / editor.stage.viewport.camera.scale),
    },
    {
      id: "view.in",
      title: "Zoom in",
      group: "View",
      keys: ["+", "="],
      icon: "plus",
      run: () => editor.stage.viewport.zoomBy(1.25),
    },
    {
      id: "view.out",
      title: "Zoom out",
      group: "View",
      keys: ["-"],
      icon: "minus",
      run: () => editor.stage.viewport.zoomBy(0.8),
    },
    {
      id: "view.selection",
      title: "Zoom to the selection",
      group: "View",
      keys: ["F"],
      enabled: () => view.state.selection.length > 0,
      run: () => actions.showSelection(editor),
    },
    {
      id: "view.lessOpacity",
      title: "Regions more transparent",
      group: "View",
      keys: [","],
      run: () => actions.changeOpacity(editor, -0.1),
    },
    {
      id: "view.moreOpacity",
      title: "Regions less transparent",
      group: "View",
      keys: ["."],
      run: () => actions.changeOpacity(editor, 0.1),
    },
    {
      id: "view.regions",
      title: "Show or hide all regions",
      group: "View",
      keys: ["T"],
      run: () => actions.toggleDisplay(editor, "showRegions"),
    },
    {
      id: "view.outline",
      title: "Outlines only",
      group: "View",
      keys: ["O"],
      run: () => actions.toggleDisplay(editor, "outlineOnly"),
    },
    {
      id: "view.colors",
      title: "Colour by category or by object",
      group: "View",
      keys: ["C"],
      run: () => view.set({ colorBy: view.state.colorBy === "category" ? "region" : "category" }),
    },
    {
      id: "view.hide",
      title: "Hide or show the selection",
      group: "View",
      keys: ["Shift+H"],
      enabled: () => view.state.selection.length > 0,
      run: () => actions.toggleHidden(editor, view.state.selection),
    },
    {
      id: "view.solo",
      title: "Show only the selection",
      group: "View",
      keys: ["Shift+S"],
      enabled: () => view.state.selection.length > 0 || view.state.solo.size > 0,
      run: () => view.set({ solo: new Set(view.state.solo.size ? [] : view.state.selection) }),
    },
    {
      id: "view.rulers",
      title: "Rulers of pixel coordinates",
      group: "View",
      keys: ["Shift+L"],
      run: () => {
        editor.rulers.value = !editor.rulers.value;
      },
    },
    {
      id: "view.leftHanded",
      title: "Left-handed layout",
      group: "View",
      keys: [],
      run: () => void editor.personal.set({ leftHanded: !editor.personal.value.leftHanded }),
    },
    {
      id: "image.next",
      title: "Next image",
      group: "Image",
      keys: ["PageDown", "Ctrl+ArrowRight"],
      icon: "right",
      enabled: () => mode === "review" || !!editor.workspace.value?.next,
      run: () => void actions.step(editor, 1),
    },
    {
      id: "image.previous",
      title: "Previous image",
      group: "Image",
      keys: ["PageUp", "Ctrl+ArrowLeft"],
      icon: "left",
      enabled: () => mode === "review" || !!editor.workspace.value?.previous,
      run: () => void actions.step(editor, -1),
    },
    {
      id: "image.copyPrevious",
      title: "Copy the regions of the previous image",
      group: "Image",
      keys: ["Ctrl+Shift+V"],
      enabled: () => editable() && !!editor.workspace.value?.previous,
      run: () => void copyPrevious(editor),
    },
    {
      id: "image.submit",
      title: "Submit and go to the next image",
      group: "Image",
      keys: ["Ctrl+Enter"],
      icon: "submit",
      enabled: () => editable() && !actions.reviewable(editor),
      run: () => void actions.submit(editor),
    },
    {
      id: "image.approve",
      title: "Approve and go to the next image",
      group: "Image",
      keys: ["Ctrl+Enter"],
      icon: "check",
      enabled: () => actions.reviewable(editor),
      run: () => void actions.review(editor, "approve", ""),
    },
    {
      id: "image.sendBack",
      title: "Send back with a comment",
      group: "Image",
      keys: ["Ctrl+Backspace"],
      enabled: () => actions.reviewable(editor),
      run: () => {
        editor.dialog.value = "send-back";
      },
    },
    {
      id: "image.skip",
      title: "Skip this image and say why",
      group: "Image",
      keys: ["Alt+S"],
      enabled: () => editor.holding.lease.value !== null,
      run: () => {
        editor.dialog.value = "skip";
      },
    },
    ...reviewCommands(editor),
    {
      id: "image.save",
      title: "Save now",
      group: "Image",
      keys: ["Ctrl+S"],
      run: () => {
        void editor.saving.flush().then((state) => {
          if (state?.status === "saved") toast("Everything is saved.");
        });
      },
    },
    {
      id: "help.guidelines",
      title: "Guidelines of the project",
      group: "Help",
      keys: ["I"],
      icon: "book",
      run: () => {
        editor.dialog.value = "guidelines";
      },
    },
    {
      id: "category.find",
      title: "Find a category",
      group: "Tools",
      keys: ["/"],
      icon: "search",
      enabled: () => editor.usableCategories.value.length > 0,
      run: () => {
        editor.dialog.value = "category";
      },
    },
    {
      id: "help.keys",
      title: "Keyboard shortcuts",
      group: "Help",
      keys: ["?"],
      icon: "help",
      run: () => {
        editor.dialog.value = "keys";
      },
    },
    {
      id: "help.palette",
      title: "Find a command",
      group: "Help",
      keys: ["Ctrl+K"],
      icon: "command",
      run: () => {
        editor.dialog.value = "palette";
      },
    },
  ];
}

/** Runs what a key stands for; true when something did. */
export function runKeys(commands: readonly Command[], keys: string): boolean {
  const command = commands.find((one) => one.keys.includes(keys) && (one.enabled?.() ?? true));
  command?.run();
  return command !== undefined;
}

/** As people read it. */
export function keyLabel(keys: string): string {
  const names: Record<string, string> = {
    ArrowRight: "→",
    ArrowLeft: "←",
    Escape: "Esc",
    PageDown: "Page down",
    PageUp: "Page up",
  };
  return keys
    .split("+")
    .map((part) => names[part] ?? part)
    .join("+")
    .replace(/\+\+$/, "+");
}
