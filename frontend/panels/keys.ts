/** "Ctrl+Shift+Z" of an event. Shift counts with letters and named keys, not with signs. */
export function keysOf(event: KeyboardEvent): string {
  const { key } = event;
  const letter = key.length === 1;
  const name = key === " " ? "Space" : letter ? key.toUpperCase() : key;
  const parts: string[] = [];
  if (event.ctrlKey || event.metaKey) parts.push("Ctrl");
  if (event.altKey) parts.push("Alt");
  if (event.shiftKey && (!letter || /[\p{L}\s]/u.test(key))) parts.push("Shift");
  return [...parts, name].join("+");
}

/** Whether a key press belongs to a field that is being filled in. */
export function inField(event: KeyboardEvent): boolean {
  const { target } = event;
  if (!(target instanceof HTMLElement)) return false;
  if (target instanceof HTMLInputElement)
    return !["range", "checkbox", "radio", "color"].includes(target.type);
  return target.isContentEditable || ["TEXTAREA", "SELECT"].includes(target.tagName);
}

/** The key that picks the nth category: its own, else its place among the first nine. */
export function hotkeyOf(hotkey: string, index: number): string {
  return hotkey || (index < 9 ? String(index + 1) : "");
}

/** Ends the typing in a field, which stores what is there: a field that goes away says nothing. */
export function leaveField(): void {
  if (document.activeElement instanceof HTMLElement) document.activeElement.blur();
}
