import createClient from "openapi-fetch";
import type { Send } from "../workers/wire";
import { earlyReply } from "./early";
import type { components, paths } from "./schema";

/** A refusal in the server's words, or in ours when no reply came (`status` 0). */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    detail: string,
    readonly field = "",
    readonly hint = "",
  ) {
    super(detail);
  }
}

/** The CSRF token of this session: the cookie, or asked for where no page has set one yet. */
async function csrfToken(): Promise<string> {
  const cookie = /(?:^|;\s*)csrftoken=([^;]+)/.exec(document.cookie)?.[1];
  if (cookie) return cookie;
  const reply = await fetch("/api/me");
  const body = reply.ok ? ((await reply.json()) as components["schemas"]["Me"]) : null;
  return body?.csrf ?? "";
}

function failure(status: number, body: unknown): ApiError {
  const { code, detail, field, hint } = (body ?? {}) as Partial<components["schemas"]["Error"]>;
  const words = detail ?? `The server answered ${status}.`;
  return new ApiError(status, code ?? "error", words, field, hint);
}

function unreachable(): ApiError {
  return new ApiError(0, "offline", "The server cannot be reached.", "", "Your work is kept here.");
}

const client = createClient<paths>({
  fetch: (request) => (request.method === "GET" && earlyReply(request.url)) || fetch(request),
});
client.use({
  async onRequest({ request }) {
    if (request.method !== "GET") request.headers.set("X-CSRFToken", await csrfToken());
    return request;
  },
});

interface Reply<T> {
  readonly data?: T;
  readonly error?: unknown;
  readonly response: Response;
}

async function ask<T>(call: Promise<Reply<T>>): Promise<T> {
  const reply = await call.catch(() => {
    throw unreachable();
  });
  if (!reply.response.ok) throw failure(reply.response.status, reply.error);
  return reply.data as T;
}

/** A file of an image. */
async function bytes(path: string, signal?: AbortSignal): Promise<Blob> {
  const reply = await fetch(`/api/images/${path}`, signal && { signal }).catch(() => {
    throw unreachable();
  });
  if (!reply.ok) throw failure(reply.status, await reply.json().catch(() => null));
  return reply.blob();
}

/** Tells the server to send pages in these colours; nothing is lost where it cannot be told. */
export async function keepTheme(theme: string): Promise<void> {
  const headers = { "X-CSRFToken": await csrfToken() };
  const body = new URLSearchParams({ theme });
  await fetch("/theme", { method: "POST", headers, body, redirect: "manual" }).catch(() => null);
}

/** One exchange of the save protocol. Rejects when no answer came. */
export const send: Send = async (method, path, body) => {
  const headers: Record<string, string> = { Accept: "application/json" };
  if (method !== "GET") headers["X-CSRFToken"] = await csrfToken();
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const reply = await fetch(path, {
    method,
    headers,
    body: body === undefined ? null : JSON.stringify(body),
  });
  const retryAfter = Number(reply.headers.get("Retry-After"));
  return {
    status: reply.status,
    body: await reply.json().catch(() => null),
    ...(retryAfter > 0 ? { retryAfterSeconds: retryAfter } : {}),
  };
};

type Verdict = components["schemas"]["Verdict"];

/** What the editor asks of the server, one function each. All throw `ApiError`. */
export const api = {
  me: () => ask(client.GET("/api/me")),

  preferences: () => ask(client.GET("/api/me/preferences")),

  keepPreferences: (body: components["schemas"]["PreferencesRequest"]) =>
    ask(client.PUT("/api/me/preferences", { body })),

  login: (username: string, password: string) =>
    ask(client.POST("/api/login", { body: { username, password } })),

  workspace: (id: number, annotation: number | null) =>
    ask(
      client.GET("/api/images/{id}/workspace", {
        params: { path: { id }, query: annotation ? { annotation } : {} },
      }),
    ),

  verdict: (id: number, verdict: Verdict, revision: number, comment: string) =>
    ask(
      client.POST(`/api/annotations/{id}/${verdict}`, {
        params: { path: { id } },
        body: { revision, comment },
      }),
    ),

  /** Lets a reviewer correct a submitted annotation. */
  fix: (id: number, revision: number) =>
    ask(client.POST("/api/annotations/{id}/fix", { params: { path: { id } }, body: { revision } })),

  /** What an annotation can be compared with. */
  bases: (id: number) =>
    ask(client.GET("/api/annotations/{id}/bases", { params: { path: { id } } })),

  baseRegions: (id: number, key: string) =>
    ask(client.GET("/api/annotations/{id}/bases/{key}", { params: { path: { id, key } } })),

  /** Every write of an annotation's regions, or of one of them, the newest first. */
  history: (id: number, query: { region?: string; after?: number }) =>
    ask(client.GET("/api/annotations/{id}/history", { params: { path: { id }, query } })),

  /** All regions as they were right after that write. */
  stateAfter: (id: number, revision: number) =>
    ask(
      client.GET("/api/annotations/{id}/history/{revision}", {
        params: { path: { id, revision } },
      }),
    ),

  addComment: (id: number, comment: components["schemas"]["NewCommentRequest"]) =>
    ask(client.POST("/api/annotations/{id}/comments", { params: { path: { id } }, body: comment })),

  resolveComment: (id: number, resolved: boolean) =>
    ask(client.PATCH("/api/comments/{id}", { params: { path: { id } }, body: { resolved } })),

  /** The next image for this person alone. */
  pull: (id: number, after: number, mode: "label" | "review") =>
    ask(
      client.POST("/api/projects/{id}/next", { params: { path: { id } }, body: { after, mode } }),
    ),

  heartbeat: (id: number) => ask(client.PATCH("/api/leases/{id}", { params: { path: { id } } })),

  skip: (id: number, body: components["schemas"]["SkipRequest"]) =>
    ask(client.POST("/api/leases/{id}/skip", { params: { path: { id } }, body })),

  /** Sent even while the page is closed, so nobody waits for the answer. */
  handBack: (id: number): void => {
    void csrfToken().then((token) =>
      fetch(`/api/leases/${id}`, {
        method: "DELETE",
        headers: { "X-CSRFToken": token },
        keepalive: true,
      }).catch(() => undefined),
    );
  },

  models: () => ask(client.GET("/api/models")),

  /** Asks for the embedding ahead of the first click, and for those of the images that come. */
  embed: (id: number, model: number | null, ahead: number) =>
    ask(
      client.POST("/api/images/{id}/embed", { params: { path: { id } }, body: { model, ahead } }),
    ),

  segment: (id: number, prompts: components["schemas"]["PromptsRequest"]) =>
    ask(client.POST("/api/images/{id}/segment", { params: { path: { id } }, body: prompts })),

  /** The upright picture. */
  picture: (image: number, signal?: AbortSignal): Promise<Blob> => bytes(`${image}/file`, signal),
  /** The picture in very few pixels. */
  thumbnail: (image: number): Promise<Blob> => bytes(`${image}/thumbnail`),
  /** A tile of a large picture, see `canvas/tiles.ts`. */
  tile: (image: number, level: number, x: number, y: number): Promise<Blob> =>
    bytes(`${image}/tiles/${level}/${x}/${y}`),
  /** The values of a picture of more than 8 bits, gzipped. */
  values: (image: number): Promise<Blob> => bytes(`${image}/values`),
};
