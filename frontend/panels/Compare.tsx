import { ADDED, OTHER, REMOVED } from "../core/difference";
import { COLORS, type Way } from "./comparison";
import { useEditor } from "./context";
import { Section } from "./controls";

const TITLES: readonly (readonly [Way, string])[] = [
  ["off", "Off"],
  ["overlay", "Overlay"],
  ["blink", "Blink"],
  ["heat", "Heat"],
  ["other", "Other"],
];

/** The annotation against the model's proposals, an earlier revision or the work of another. */
export function Compare() {
  const { comparison } = useEditor();
  const bases = comparison.bases.value;
  const way = comparison.way.value;
  if (bases.length === 0) return null;
  return (
    <Section title="Compare" class="compare">
      <label class="field">
        With
        <select
          value={comparison.base.value}
          onChange={(event) => void comparison.choose(event.currentTarget.value)}
        >
          {bases.map(({ key, title }) => (
            <option key={key} value={key}>
              {title}
            </option>
          ))}
        </select>
      </label>
      <fieldset class="segments small" aria-label="How">
        {TITLES.map(([value, title]) => (
          <button
            key={value}
            type="button"
            class="segment"
            aria-pressed={way === value}
            data-tip="Alt+X"
            onClick={() => void comparison.show(value)}
          >
            {title}
          </button>
        ))}
      </fieldset>
      {way !== "off" && <Numbers />}
    </Section>
  );
}

function Numbers() {
  const { comparison } = useEditor();
  const found = comparison.found.value;
  if (!found) return null;
  const rows: readonly (readonly [number, string, number])[] = [
    [ADDED, "Only here", found.added],
    [REMOVED, "Only there", found.removed],
    [OTHER, "Other category", found.other],
  ];
  return (
    <>
      <ul class="compare-legend">
        {rows.map(([kind, title, pixels]) => (
          <li key={kind}>
            <span
              class="swatch"
              ref={(element) => {
                if (element) element.style.background = `rgb(${COLORS[kind]?.join(" ")})`;
              }}
            />
            {title} <span class="num">{pixels.toLocaleString()} px</span>
          </li>
        ))}
      </ul>
      <p class="facts">
        Same where labeled: {(100 * found.iou).toFixed(1)} %{" "}
        <button type="button" class="link" data-tip="Alt+N" onClick={() => comparison.nextPlace()}>
          Next difference
        </button>
      </p>
    </>
  );
}
