import type { Rle } from "../core/types";
import type { ApiAnnotation, ApiComment, ApiModel, Candidates, Workspace } from "./workspace";

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

export interface Prompt {
  readonly model: number | null;
  readonly points: readonly {
    readonly x: number;
    readonly y: number;
    readonly positive: boolean;
  }[];
  readonly box: readonly [number, number, number, number] | null;
  readonly mask: Rle | null;
}

type Method = "GET" | "POST" | "PATCH" | "PUT" | "DELETE";

/** The CSRF token of this session: the cookie, or asked for where no page has set one yet. */
export async function csrfToken(): Promise<string> {
  const cookie = /(?:^|;\s*)csrftoken=([^;]+)/.exec(document.cookie)?.[1];
  if (cookie) return cookie;
  const reply = await fetch("/api/me");
  const body = reply.ok ? ((await reply.json()) as { csrf?: string }) : {};
  return body.csrf ?? "";
}

async function failure(reply: Response): Promise<ApiError> {
  try {
    const { code, detail, field, hint } = (await reply.json()) as Record<string, string>;
    return new ApiError(reply.status, code ?? "error", detail ?? reply.statusText, field, hint);
  } catch {
    return new ApiError(reply.status, "error", `The server answered ${reply.status}.`);
  }
}

async function request<T>(
  method: Method,
  path: string,
  body?: unknown,
  signal?: AbortSignal,
): Promise<T> {
  const headers: Record<string, string> = { Accept: "application/json" };
  if (method !== "GET") headers["X-CSRFToken"] = await csrfToken();
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let reply: Response;
  try {
    reply = await fetch(`/api/${path}`, {
      method,
      headers,
      body: body === undefined ? null : JSON.stringify(body),
      signal: signal ?? null,
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(
      0,
      "offline",
      "The server cannot be reached.",
      "",
      "Your work is kept here.",
    );
  }
  if (!reply.ok) throw await failure(reply);
  return (reply.status === 204 ? undefined : await reply.json()) as T;
}

/** What the editor asks of the server, one function each. All throw `ApiError`. */
export const api = {
  workspace: (image: number, annotation: number | null, signal?: AbortSignal) =>
    request<Workspace>(
      "GET",
      `images/${image}/workspace${annotation ? `?annotation=${annotation}` : ""}`,
      undefined,
      signal,
    ),

  /** The own annotation of an image, made if there is none. */
  ownAnnotation: (image: number) =>
    request<ApiAnnotation>("POST", `images/${image}/annotations`, {}),

  annotation: (id: number) => request<ApiAnnotation>("GET", `annotations/${id}`),

  submit: (annotation: number, revision: number) =>
    request<unknown>("POST", `annotations/${annotation}/submit`, { revision }),

  verdict: (
    annotation: number,
    verdict: "approve" | "send_back" | "reopen",
    revision: number,
    comment: string,
  ) => request<unknown>("POST", `annotations/${annotation}/${verdict}`, { revision, comment }),

  addComment: (
    annotation: number,
    comment: { text: string; x: number | null; y: number | null; region: string | null },
  ) => request<ApiComment>("POST", `annotations/${annotation}/comments`, comment),

  resolveComment: (comment: number, resolved: boolean) =>
    request<ApiComment>("PATCH", `comments/${comment}`, { resolved }),

  nextImage: (project: number, after: number, mode: "label" | "review") =>
    request<{ image: number | null; annotation?: number | null }>(
      "GET",
      `projects/${project}/next?after=${after}&mode=${mode}`,
    ),

  models: () =>
    request<{ results: ApiModel[] } | ApiModel[]>("GET", "models").then((reply) =>
      Array.isArray(reply) ? reply : reply.results,
    ),

  /** Asks for the embedding ahead of the first click. */
  embed: (image: number, model: number | null) =>
    request<{ state: "ready" | "queued" | "not_needed" }>(
      "POST",
      `images/${image}/embed`,
      model ? { model } : {},
    ),

  segment: (image: number, prompt: Prompt, signal?: AbortSignal) =>
    request<Candidates>("POST", `images/${image}/segment`, prompt, signal),

  login: (username: string, password: string) =>
    request<unknown>("POST", "login", { username, password }),

  image: async (url: string, signal?: AbortSignal): Promise<Blob> => {
    const reply = await fetch(url, { signal: signal ?? null });
    if (!reply.ok) throw await failure(reply);
    return reply.blob();
  },
};
