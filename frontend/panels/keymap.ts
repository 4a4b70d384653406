/** Keys of one's own: which commands have other keys than the usual, and what is in their way. */

export interface Keyed {
  readonly id: string;
  readonly title: string;
  /** As `keysOf` writes them. */
  readonly keys: readonly string[];
}

/** Command id to its keys, where they are not the usual ones. */
export type Keymap = Readonly<Record<string, readonly string[]>>;

/** Keys that browsers keep to themselves, or that lead through the page. */
const KEPT = new Set([
  ..."TNW".split("").flatMap((letter) => [`Ctrl+${letter}`, `Ctrl+Shift+${letter}`]),
  "Ctrl+Tab",
  "Ctrl+Shift+Tab",
  "Tab",
  "Shift+Tab",
  "Escape",
  "Space",
  "F5",
  "F11",
  "F12",
]);

/** The commands with the keys that they have for this person. */
export function bound<T extends Keyed>(commands: readonly T[], keymap: Keymap): readonly T[] {
  return commands.map((command) => {
    const keys = keymap[command.id];
    return keys ? { ...command, keys } : command;
  });
}

/** Why a key can be no command's, in plain words; nothing where it can. */
export function refusal(
  keys: string,
  categories: readonly { readonly name: string; readonly key: string }[],
): string {
  if (KEPT.has(keys)) return `${keys} is kept for the browser and the page.`;
  const category = categories.find(({ key }) => key.toUpperCase() === keys);
  return category ? `${keys} picks the category ${category.name}.` : "";
}

/** The other commands that have the key now. Some share theirs as they come: never at one time. */
export function holders<T extends Keyed>(
  commands: readonly T[],
  keymap: Keymap,
  id: string,
  keys: string,
): readonly T[] {
  const usual = commands.find((one) => one.id === id)?.keys.includes(keys);
  return bound(commands, keymap).filter((one, index) => {
    if (one.id === id || !one.keys.includes(keys)) return false;
    return !(usual && commands[index]?.keys.includes(keys));
  });
}

/** The keymap in which the command has this one key, and those who had it do without. */
export function assigned(
  commands: readonly Keyed[],
  keymap: Keymap,
  id: string,
  keys: string,
): Keymap {
  const taken = holders(commands, keymap, id, keys).map((one) => [
    one.id,
    one.keys.filter((key) => key !== keys),
  ]);
  return tidy(commands, { ...keymap, ...Object.fromEntries(taken), [id]: [keys] });
}

/** The keymap in which the command has its usual keys again, and no other command has one of them. */
export function restored(commands: readonly Keyed[], keymap: Keymap, id: string): Keymap {
  const usual = commands.find((one) => one.id === id)?.keys ?? [];
  const freed = usual
    .flatMap((key) => holders(commands, keymap, id, key))
    .map((one) => [one.id, one.keys.filter((key) => !usual.includes(key))]);
  return tidy(commands, { ...keymap, ...Object.fromEntries(freed), [id]: usual });
}

/** Without commands that are not there, and without those that have their usual keys. */
function tidy(commands: readonly Keyed[], keymap: Keymap): Keymap {
  const usual = new Map(commands.map(({ id, keys }) => [id, keys.join(" ")]));
  return Object.fromEntries(
    Object.entries(keymap).filter(
      ([id, keys]) => usual.has(id) && usual.get(id) !== keys.join(" "),
    ),
  );
}
