import { useEffect, useRef } from "preact/hooks";
import * as actions from "./actions";
import { useEditor } from "./context";
import { Section } from "./controls";
import { IconButton } from "./icons";
import { hotkeyOf } from "./keys";
import { CommandButton } from "./TopBar";

export function Categories() {
  const editor = useEditor();
  const state = editor.viewState.value;
  editor.changes.value;
  const counts = new Map<number, number>();
  for (const { categoryId } of editor.document.value?.regions ?? []) {
    counts.set(categoryId, (counts.get(categoryId) ?? 0) + 1);
  }
  const categories = editor.categories.value.filter(
    ({ id, archived }) => !archived || counts.has(id),
  );
  const usable = editor.usableCategories.value;
  const current = useRef<HTMLLIElement>(null);
  useEffect(() => current.current?.scrollIntoView({ block: "nearest" }), [state.categoryId]);
  return (
    <Section
      title="Categories"
      class="categories"
      count={categories.length}
      tools={<CommandButton id="category.find" />}
    >
      {categories.length === 0 && editor.workspace.value && (
        <p class="empty-note">
          This project has no categories yet.{" "}
          <a href={`/projects/${editor.workspace.value.project.id}/settings`}>Add one</a>
        </p>
      )}
      <ul class="rows">
        {categories.map((category) => {
          const index = usable.indexOf(category);
          const key = index < 0 ? "" : hotkeyOf(category.hotkey, index);
          const hidden = state.hiddenCategories.has(category.id);
          const locked = state.lockedCategories.has(category.id);
          return (
            <li
              key={category.id}
              ref={state.categoryId === category.id ? current : null}
              class={`item ${state.categoryId === category.id ? "current" : ""} ${hidden ? "dim" : ""}`}
            >
              <button
                type="button"
                class="item-main"
                aria-pressed={state.categoryId === category.id}
                disabled={category.archived}
                onClick={() => actions.pickCategory(editor, category.id)}
              >
                <span class="swatch" style={{ background: category.color }} />
                <span class="clip">{category.name}</span>
                {category.archived && <span class="badge">archived</span>}
                <span class="grow" />
                <span class="count">{counts.get(category.id) ?? ""}</span>
                {key && <kbd>{key.toUpperCase()}</kbd>}
              </button>
              <IconButton
                icon={hidden ? "eyeOff" : "eye"}
                label={`${hidden ? "Show" : "Hide"} ${category.name}`}
                pressed={hidden}
                onClick={() =>
                  editor.view.set({
                    hiddenCategories: actions.toggled(state.hiddenCategories, category.id),
                  })
                }
              />
              <IconButton
                icon={locked ? "lock" : "unlock"}
                label={`${locked ? "Unlock" : "Lock"} ${category.name}: its pixels are ${locked ? "kept" : "painted over"}`}
                pressed={locked}
                onClick={() =>
                  editor.view.set({
                    lockedCategories: actions.toggled(state.lockedCategories, category.id),
                  })
                }
              />
            </li>
          );
        })}
      </ul>
    </Section>
  );
}
