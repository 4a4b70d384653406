/** Those that have every word, first the ones whose text begins with what was typed. */
export function matching<T extends { readonly text: string }>(
  entries: readonly T[],
  typed: string,
): readonly T[] {
  const asked = typed.trim().toLowerCase();
  const words = asked.split(/\s+/);
  const found = entries.filter(({ text }) =>
    words.every((word) => text.toLowerCase().includes(word)),
  );
  const begins = ({ text }: T) => text.toLowerCase().startsWith(asked);
  return [...found.filter(begins), ...found.filter((entry) => !begins(entry))];
}
