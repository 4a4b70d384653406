import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";
import { remembered } from "./preferences";

export interface SliderProps {
  readonly label: string;
  readonly min: number;
  readonly max: number;
  readonly step?: number;
  readonly value: number;
  readonly suffix?: string;
  readonly onInput: (value: number) => void;
}

export function Slider(props: SliderProps) {
  const { label, min, max, step = 1, value, suffix = "", onInput } = props;
  return (
    <label class="slider option">
      <span class="slider-label">{label}</span>
      <input
        type="range"
        min={min}
        max={max}
        step={step}
        value={value}
        onInput={(event) => onInput(event.currentTarget.valueAsNumber)}
      />
      <output>
        {Math.round(value * 100) / 100}
        {suffix}
      </output>
    </label>
  );
}

const closed = remembered<string>("closedPanels", "Display|History");

export interface SectionProps {
  readonly title: string;
  readonly count?: number | string;
  readonly class?: string;
  readonly tools?: ComponentChildren;
  readonly children: ComponentChildren;
}

/** A part of the side panel that folds; the browser remembers which are folded. */
export function Section(props: SectionProps) {
  const id = useId();
  const folded = closed.value.split("|");
  const open = !folded.includes(props.title);
  const toggle = () => {
    closed.value = (
      open ? [...folded, props.title] : folded.filter((title) => title !== props.title)
    ).join("|");
  };
  return (
    <section class={`section ${props.class ?? ""} ${open ? "" : "folded"}`} aria-labelledby={id}>
      <div class="section-head">
        <h2 id={id}>
          <button type="button" class="section-title" aria-expanded={open} onClick={toggle}>
            <span class="caret" aria-hidden="true" />
            {props.title}
            {props.count !== undefined && <span class="badge count">{props.count}</span>}
          </button>
        </h2>
        {open && props.tools}
      </div>
      {open && props.children}
    </section>
  );
}
