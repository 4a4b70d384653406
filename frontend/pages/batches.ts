/** Which files go to the server in one request, and what its answer says of each. */

import type { FoundFile } from "./files";

const MOST_FILES = 24;
const MOST_BYTES = 32 * 2 ** 20;
const SHOWN_ERRORS = 5;

/** What a server's answer can make of a file. */
export interface Outcome {
  readonly state: "done" | "queued" | "known" | "failed";
  readonly detail: string;
  /** Images that came of it: more than one from a zip. */
  readonly images: number;
}

/** What the server said about one request. Status 0: it never arrived. */
export interface Reply {
  readonly status: number;
  readonly body: unknown;
}

interface Refusal {
  readonly code?: string;
  readonly detail?: string;
  readonly hint?: string;
}

/** The API's answer: an error, or what became of the images of each file. */
interface Body extends Refusal {
  readonly results?: readonly { readonly file: number; readonly error: Refusal | null }[];
  readonly jobs?: readonly unknown[];
}

const names = new Intl.Collator(undefined, { numeric: true });

/** By their names, as people count: frame 9 before frame 10. */
export function inOrder(files: readonly FoundFile[]): FoundFile[] {
  return [...files].sort((a, b) => names.compare(a.path, b.path));
}

/** How many of the next files, whose sizes these are in bytes, go into one request. */
export function batchSize(sizes: readonly number[]): number {
  let bytes = 0;
  const end = sizes.findIndex((size, index) => {
    bytes += size;
    return index === MOST_FILES || bytes > MOST_BYTES;
  });
  return end < 0 ? sizes.length : Math.max(1, end);
}

/** What became of each of the `count` files in the request, in words. */
export function outcomes(reply: Reply, count: number): Outcome[] {
  const body = reply.body as Body | null;
  const results = body?.results;
  if (!results)
    return Array.from({ length: count }, () => refused(withoutResults(reply.status, body)));
  return Array.from({ length: count }, (_, number) =>
    outcome(results.filter(({ file }) => file === number).map(({ error }) => error)),
  );
}

function withoutResults(status: number, body: Body | null): string {
  if (status === 0) return "The server could not be reached. Retry when it can.";
  if (status === 401) return "You are logged out. Log in in another tab, then retry.";
  return body?.detail ? words(body) : `The server answered ${status}. Retry.`;
}

function refused(detail: string): Outcome {
  return { state: "failed", detail, images: 0 };
}

/** Of one file: what is wrong with each of its images, null where nothing is. */
function outcome(images: readonly (Refusal | null)[]): Outcome {
  const errors = images.filter((error) => error !== null);
  const bad = errors.filter(({ code }) => code !== "duplicate");
  const added = images.length - errors.length;
  if (images.length === 0) {
    const detail = "A worker reads it; see Jobs for how far it is.";
    return { state: "queued", detail, images: 0 };
  }
  if (added === 0 && bad[0]) return refused(bad.slice(0, SHOWN_ERRORS).map(words).join(" "));
  if (added === 0) return { state: "known", detail: errors[0]?.detail ?? "", images: 0 };
  const notes = [];
  if (images.length > 1) notes.push(`${added} images added.`);
  const there = errors.length - bad.length;
  if (there) notes.push(`${there} ${there === 1 ? "was" : "were"} already there.`);
  if (bad.length) notes.push(`${bad.length} refused:`, ...bad.slice(0, SHOWN_ERRORS).map(words));
  return { state: "done", detail: notes.join(" "), images: added };
}

function words(refusal: Refusal): string {
  return `${refusal.detail ?? ""} ${refusal.hint ?? ""}`.trim();
}
