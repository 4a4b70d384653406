import { useState } from "preact/hooks";
import { maskToPolygons } from "../core/ops/contours";
import { keyLabel } from "./commands";
import { useShared } from "./context";
import { Section, Slider } from "./controls";
import { type OperationSettings, operations } from "./regionCommands";

/** What can be done with the selected regions besides drawing, and how strongly. */
export function Operations() {
  const { editor, commands } = useShared();
  const [traced, setTraced] = useState("");
  editor.changes.value;
  const { selection } = editor.viewState.value;
  const doc = editor.document.value;
  if (!doc || !editor.editable.value || selection.length === 0) return null;
  const settings = operations.value;
  const set = (change: Partial<OperationSettings>) => {
    operations.value = { ...settings, ...change };
  };
  /** How well polygons of that tolerance would cover the first selected mask. */
  const trace = (tolerance: number) => {
    set({ tolerance });
    const region = doc.region(selection[0] ?? "");
    if (region?.geometry.type !== "mask") return setTraced("");
    const { polygons, iou } = maskToPolygons(doc.mask(region.uuid), tolerance);
    const vertices = polygons.flat().reduce((sum, ring) => sum + ring.length / 2, 0);
    setTraced(`${vertices} vertices, IoU ${iou.toFixed(3)}`);
  };
  const usable = commands.filter(({ group, enabled }) => group === "Regions" && enabled?.());
  return (
    <Section title="Operations" class="operations">
      <div class="row wrap">
        {usable.map(({ id, title, keys, run }) => (
          <button
            key={id}
            type="button"
            class="button small"
            data-tip={keys[0] ? keyLabel(keys[0]) : undefined}
            onClick={run}
          >
            {title}
          </button>
        ))}
      </div>
      <Slider
        label="Grow, shrink, smooth"
        min={1}
        max={50}
        value={settings.radius}
        suffix=" px"
        onInput={(radius) => set({ radius })}
      />
      <Slider
        label="Small parts under"
        min={1}
        max={2000}
        value={settings.island}
        suffix=" px"
        onInput={(island) => set({ island })}
      />
      <Slider
        label="Gaps to neighbours"
        min={0}
        max={50}
        value={settings.gap}
        suffix=" px"
        onInput={(gap) => set({ gap })}
      />
      {!doc.exclusive && (
        <>
          <Slider
            label="Polygon tolerance"
            min={0}
            max={10}
            step={0.25}
            value={settings.tolerance}
            suffix=" px"
            onInput={trace}
          />
          {traced && (
            <p class="facts" role="status">
              {traced}
            </p>
          )}
        </>
      )}
    </Section>
  );
}
