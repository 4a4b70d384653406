import type { PackedPixels } from "../core/loading";
import type { DrawnReply, OpenReply, OpenRequest } from "../workers/codec";
import { type Decoded, PictureDecoder } from "../workers/picture";

/** What the editor's page says when it loads. */
export interface Boot {
  readonly image: number;
  /** Of that image. */
  readonly width: number;
  readonly height: number;
  /** Of its pyramid; 0: it has none. */
  readonly levels: number;
  readonly annotation: number | null;
  readonly mode: "label" | "review";
  readonly project: number;
  readonly projectUrl: string;
  /** Notifications. */
  readonly unread: number;
}

/**
 * What the editor asks for first, asked for while its own script is still being read: a page names
 * this script before the other. Workers ask for it, since reading that script keeps the page busy.
 * Each answer is good for one use.
 */
const data = globalThis.document?.getElementById("editor-data")?.textContent;
export const boot = data ? (JSON.parse(data) as Boot) : null;
export const decoder = new PictureDecoder();

const replies = new Map<string, Promise<Response>>();
const pictures = new Map<number, Promise<Decoded | null>>();
let drawn: Promise<DrawnReply["drawn"]> = Promise.resolve(null);
let worker: Worker | null = null;

/** The one worker that masks are encoded and drawn in. */
export function codecWorker(): Worker {
  worker ??= new Worker(new URL("../workers/codec.worker.ts", import.meta.url), { type: "module" });
  return worker;
}

/** The answer to a GET that is under way. */
export function earlyReply(url: string): Promise<Response> | undefined {
  const reply = replies.get(url);
  replies.delete(url);
  return reply;
}

/** The pixels of the regions of a workspace; null where none are made of this annotation as it is. */
export async function earlyPixels(id: number, revision: number): Promise<PackedPixels | null> {
  const found = drawn;
  drawn = Promise.resolve(null);
  const made = await found;
  return made?.annotation === id && made.revision === revision ? made.pixels : null;
}

/** The picture of an image that is being decoded; null where that failed. */
export async function earlyPicture(image: number): Promise<Decoded | null> {
  const picture = pictures.get(image);
  pictures.delete(image);
  return picture ?? null;
}

function ask({ image, annotation, levels }: Boot): void {
  if (levels === 0) pictures.set(image, decode(image));
  const query = annotation ? `?annotation=${annotation}` : "";
  open(new URL(`/api/images/${image}/workspace${query}`, location.href).href);
}

function open(url: string): void {
  const worker = codecWorker();
  const ended = new Promise<never>((_, reject) => {
    worker.addEventListener("error", () => reject(new Error("The worker ended.")));
  });
  const told = <Reply>(key: string) =>
    new Promise<Reply>((resolve) => {
      worker.addEventListener("message", ({ data }) => {
        if (key in data) resolve(data);
      });
    });
  const said = told<OpenReply>("said");
  replies.set(
    url,
    Promise.race([said, ended]).then(
      ({ said }) => (said ? new Response(said.body, { status: said.status }) : fetch(url)),
      () => fetch(url),
    ),
  );
  drawn = Promise.race([told<DrawnReply>("drawn"), ended]).then(
    (reply) => reply.drawn,
    () => null,
  );
  worker.postMessage({ do: "open", url } satisfies OpenRequest);
}

async function decode(image: number): Promise<Decoded | null> {
  try {
    return await decoder.decode(`/api/images/${image}/file`);
  } catch {
    return null;
  }
}

if (boot) ask(boot);
