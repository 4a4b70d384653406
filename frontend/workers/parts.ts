/** The models in a decoder's file: a line of JSON, `{"parts": [{name, bytes}]}`, then their bytes. */
export function parts(packed: Uint8Array): Record<string, Uint8Array> {
  let at = packed.indexOf(10) + 1;
  const head = JSON.parse(new TextDecoder().decode(packed.subarray(0, at))) as {
    parts: { name: string; bytes: number }[];
  };
  const found: Record<string, Uint8Array> = {};
  for (const { name, bytes } of head.parts) {
    if (at + bytes > packed.length) throw new Error("The decoder is damaged.");
    found[name] = packed.subarray(at, at + bytes);
    at += bytes;
  }
  return found;
}
