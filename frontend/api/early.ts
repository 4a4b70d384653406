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
 * this script before the other. Each answer is good for one use.
 */
const data = globalThis.document?.getElementById("editor-data")?.textContent;
export const boot = data ? (JSON.parse(data) as Boot) : null;
export const decoder = new PictureDecoder();

const replies = new Map<string, Promise<Response>>();
const pictures = new Map<number, Promise<Decoded | null>>();

/** The answer to a GET that is under way. */
export function earlyReply(url: string): Promise<Response> | undefined {
  const reply = replies.get(url);
  replies.delete(url);
  return reply;
}

/** The picture of an image that is being decoded; null where that failed. */
export async function earlyPicture(image: number): Promise<Decoded | null> {
  const picture = pictures.get(image);
  pictures.delete(image);
  return picture ?? null;
}

function ask({ image, annotation, levels }: Boot): void {
  const query = annotation ? `?annotation=${annotation}` : "";
  const url = new URL(`/api/images/${image}/workspace${query}`, location.href).href;
  const reply = fetch(url);
  reply.catch(() => undefined); // told to whoever takes it
  replies.set(url, reply);
  if (levels === 0) pictures.set(image, decode(image));
}

async function decode(image: number): Promise<Decoded | null> {
  decoder.start();
  try {
    const reply = await fetch(`/api/images/${image}/file`);
    return reply.ok ? await decoder.decode(await reply.blob()) : null;
  } catch {
    return null;
  }
}

if (boot) ask(boot);
