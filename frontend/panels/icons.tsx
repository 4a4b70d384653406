import type { ComponentChildren } from "preact";

/** Line drawings on a 20 × 20 grid; the words beside or around them carry the meaning. */
const DRAWINGS = {
  hand: "M6.5 10V5.2a1.2 1.2 0 0 1 2.4 0V9m0-4.6a1.2 1.2 0 0 1 2.4 0V9m0-3.8a1.2 1.2 0 0 1 2.4 0V10m0-2.6a1.2 1.2 0 0 1 2.3 0V12c0 3.6-2 5.5-5 5.5-2.6 0-3.8-1-5.2-3.6L4 11.4c-.7-1.3.9-2.2 1.8-1.1L6.5 11",
  select: "M5 3.5l10 6.2-4.6 1.1 2.4 4.6-1.9 1-2.4-4.7L5 15z",
  brush:
    "M16.5 3.5c-3 1.2-6.6 4.6-8 7l2.4 2.4c2.4-1.5 5.5-5 6.6-8.4.3-.8-.3-1.3-1-1zM7.3 11.5c-2 .1-2.8 1.5-2.9 3-.1 1-.6 1.5-1.4 1.9 2.6 1 6 .6 6.5-2.7",
  eraser:
    "M8 16.5h8.5M4 12.2l6.7-7.5a1.5 1.5 0 0 1 2.1-.1l3 2.7a1.5 1.5 0 0 1 .1 2.1l-6.4 7H7.2l-3.1-2.2a1.4 1.4 0 0 1-.1-2zM7.5 8.3l5.1 4.6",
  polygon:
    "M5 14.5L3.8 7.2 10.5 4l5.7 4.2-1.7 7.3zM5 14.5h.01M3.8 7.2h.01M10.5 4h.01M16.2 8.2h.01M14.5 15.5h.01",
  lasso:
    "M6.5 12.2c-2-.8-3-2.2-3-3.7C3.5 5.7 6.4 4 10 4s6.5 1.9 6.5 4.5S13.8 13 10.3 13c-1 0-2-.1-2.8-.3M8.5 12.4c0 1-.8 1.7-1.7 1.7s-1.6-.7-1.6-1.6.7-1.5 1.6-1.5 1.7.5 1.7 1.4zm0 0c.5 1.6-.2 3-2 3.6",
  bucket:
    "M8.5 3l7 7-5.5 5.3a1.5 1.5 0 0 1-2.1 0L3.7 11.1a1.5 1.5 0 0 1 0-2.1L9.3 3.7M3.6 10h11.8M16.8 13c1 1.6 1.2 2.2 1.2 2.7a1.2 1.2 0 0 1-2.4 0c0-.5.2-1.1 1.2-2.7z",
  wand: "M3.5 16.5l8-8M13.5 3v2.5M13.5 9.5V12M9 7.5h2.5M15.5 7.5H18M10.5 4.5l1 1M16.5 4.5l-1 1M16.5 10.5l-1-1",
  assist:
    "M10 3l1.5 4.5L16 9l-4.5 1.5L10 15l-1.5-4.5L4 9l4.5-1.5zM15.5 13l.7 2 2 .7-2 .8-.7 2-.8-2-2-.8 2-.7z",
  superpixel:
    "M3.5 5.5L8 3.5l4 2.5 4.5-2v12h-13zM8 3.5l-1 5 5 1.5V6M7 8.5l-3.5 3M12 10l4.5-1M12 10l-2 6M7 8.5l3 7.5",
  livewire:
    "M3.5 15.5c1.5-5 4-1 5.5-5s2-6.5 6-6M3.5 15.5h.01M9 10.5h.01M15.5 4.5h.01M13 13l3.5 3.5M16.5 13L13 16.5",
  box: "M4 5h12v10H4zM4 5h.01M16 5h.01M16 15h.01M4 15h.01",
  undo: "M7.5 4.5L4 8l3.5 3.5M4 8h7.5a4.5 4.5 0 0 1 0 9H9",
  redo: "M12.5 4.5L16 8l-3.5 3.5M16 8H8.5a4.5 4.5 0 0 0 0 9H11",
  eye: "M2.5 10S5 5 10 5s7.5 5 7.5 5-2.5 5-7.5 5-7.5-5-7.5-5zM10 12.3a2.3 2.3 0 1 0 0-4.6 2.3 2.3 0 0 0 0 4.6z",
  eyeOff:
    "M4 4l12 12M8 5.3A8 8 0 0 1 10 5c5 0 7.5 5 7.5 5a13 13 0 0 1-2.3 2.9M12 14.7a8 8 0 0 1-2 .3c-5 0-7.5-5-7.5-5A13 13 0 0 1 5.2 6.7M8.4 8.4a2.3 2.3 0 0 0 3.2 3.2",
  lock: "M5.5 9h9v7.5h-9zM7 9V6.5a3 3 0 0 1 6 0V9",
  unlock: "M5.5 9h9v7.5h-9zM7 9V6a3 3 0 0 1 5.8-1",
  trash: "M4 6h12M8 6V4h4v2M5.5 6l.7 10.5h7.6L14.5 6M8.5 9v5M11.5 9v5",
  left: "M12.5 4.5L7 10l5.5 5.5",
  right: "M7.5 4.5L13 10l-5.5 5.5",
  bell: "M10 3a4.2 4.2 0 0 0-4.2 4.2c0 4-1.8 5.3-1.8 5.3h12s-1.8-1.3-1.8-5.3A4.2 4.2 0 0 0 10 3zM8.3 15.3a1.8 1.8 0 0 0 3.4 0",
  back: "M16 10H4.5M9 5l-5 5 5 5",
  check: "M4 10.5l4 4 8-9",
  close: "M5 5l10 10M15 5L5 15",
  search: "M9 14.5a5.5 5.5 0 1 0 0-11 5.5 5.5 0 0 0 0 11zM13 13l4 4",
  plus: "M10 4v12M4 10h12",
  minus: "M4 10h12",
  fit: "M3.5 7.5v-4h4M12.5 3.5h4v4M16.5 12.5v4h-4M7.5 16.5h-4v-4",
  help: "M7.5 7.5a2.5 2.5 0 1 1 3.5 2.3c-.7.3-1 .8-1 1.7M10 14.5h.01M10 17.5a7.5 7.5 0 1 0 0-15 7.5 7.5 0 0 0 0 15z",
  command: "M3.5 10.5L7 7M3.5 3.5L7 7M9.5 14.5h7",
  cloud: "M6 15.5a3.5 3.5 0 0 1-.4-7A4.7 4.7 0 0 1 14.7 8 3.7 3.7 0 0 1 14.5 15.5z",
  cloudOff:
    "M3.5 3.5l13 13M6.5 6.5l-1 2a3.5 3.5 0 0 0 .5 7h8M9 5.6a4.7 4.7 0 0 1 5.7 2.4 3.7 3.7 0 0 1 2 6",
  warning: "M10 3.5l7.5 13h-15zM10 8.5v3.5M10 14.3h.01",
  front: "M7.5 3.5h9v9h-9zM12.5 12.5v4h-9v-9h4",
  behind: "M3.5 7.5h9v9h-9zM7.5 7.5v-4h9v9h-4",
  scissors:
    "M5.5 7.5a2 2 0 1 0 0-4 2 2 0 0 0 0 4zM5.5 16.5a2 2 0 1 0 0-4 2 2 0 0 0 0 4zM7 7l9.5 8M7 13l9.5-8",
  submit: "M3.5 10L17 3.5 13 16.5l-3.5-5z",
  book: "M10 5.5C8 4 5.5 4 3 4.5v11c2.5-.5 5-.5 7 1 2-1.5 4.5-1.5 7-1v-11c-2.5-.5-5-.5-7 1zM10 5.5v11",
  circle: "M10 16.5a6.5 6.5 0 1 0 0-13 6.5 6.5 0 0 0 0 13z",
  square: "M4.5 4.5h11v11h-11z",
} as const;

export type IconName = keyof typeof DRAWINGS;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 20 20" aria-hidden="true" focusable="false">
      <path d={DRAWINGS[name]} />
    </svg>
  );
}

export interface IconButtonProps {
  readonly icon: IconName;
  readonly label: string;
  readonly keys?: string;
  readonly pressed?: boolean;
  readonly disabled?: boolean;
  readonly class?: string;
  readonly onClick: (event: MouseEvent) => void;
  readonly children?: ComponentChildren;
}

/** A button with a picture; its name and key are its tooltip and its accessible name. */
export function IconButton(props: IconButtonProps) {
  const { icon, label, keys, pressed, disabled } = props;
  return (
    <button
      type="button"
      class={`button ghost icon-only small ${props.class ?? ""}`}
      aria-label={label}
      aria-pressed={pressed}
      aria-keyshortcuts={keys ? ariaKeys(keys) : undefined}
      data-tip={keys ? `${label}  ${keys}` : label}
      disabled={disabled}
      onClick={props.onClick}
    >
      <Icon name={icon} />
      {props.children}
    </button>
  );
}

/** "Ctrl+Z" as aria-keyshortcuts wants it: "Control+Z". */
export function ariaKeys(keys: string): string {
  return keys.replace("Ctrl", "Control");
}
