/** The upload page: files and folders by drop or choice, three at a time, each with its progress. */

import { type FoundFile, filesOfDrop, looksLikeImage } from "./files";

const AT_ONCE = 3;
const TRIES = 4;
const SHOWN_ERRORS = 5;
const FINAL: readonly State[] = ["done", "queued", "known"];

type State =
  | "waiting"
  | "sending"
  | "checking"
  | "done"
  | "queued"
  | "known"
  | "failed"
  | "cancelled";

const WORDS: Record<State, string> = {
  waiting: "waiting",
  sending: "uploading",
  checking: "checking",
  done: "done",
  queued: "being read",
  known: "already there",
  failed: "failed",
  cancelled: "cancelled",
};

interface Refusal {
  readonly code?: string;
  readonly detail?: string;
  readonly hint?: string;
}

/** The API's answer: an error, or what became of the file or of each image of the zip. */
interface Body extends Refusal {
  readonly results?: readonly { readonly error: Refusal | null }[];
  readonly jobs?: readonly unknown[];
}

/** What the server said about one request. */
interface Reply {
  readonly status: number;
  readonly body: unknown;
  /** Seconds, where the server asks to wait. */
  readonly retryAfter: number;
}

class Upload {
  state: State = "waiting";
  request: XMLHttpRequest | null = null;
  /** Bytes that left this machine. */
  sent = 0;
  /** Images that came of it: more than one from a zip. */
  images = 0;
  private readonly row: HTMLLIElement;
  private readonly bar = document.createElement("progress");
  private readonly word = document.createElement("span");
  private readonly detail = document.createElement("p");

  constructor(
    readonly file: File,
    readonly path: string,
    list: HTMLElement,
  ) {
    this.row = document.createElement("li");
    this.row.className = "upload";
    const name = document.createElement("span");
    name.className = "ellipsis";
    name.textContent = name.title = path;
    this.bar.max = Math.max(1, file.size);
    this.bar.value = 0;
    this.bar.setAttribute("aria-label", `Upload of ${path}`);
    this.word.className = "small muted";
    this.detail.hidden = true;
    this.row.append(name, this.bar, this.word, this.detail);
    list.append(this.row);
    this.show("waiting");
  }

  show(state: State, detail = ""): void {
    this.state = state;
    this.word.textContent = WORDS[state];
    this.row.dataset.state = state;
    this.bar.value = FINAL.includes(state) ? this.bar.max : this.sent;
    this.detail.textContent = detail;
    this.detail.hidden = detail === "";
    this.detail.className = state === "failed" ? "detail errors" : "detail muted";
  }
}

export function setUpUploads(form: HTMLElement): void {
  const url = form.dataset.upload ?? "";
  const part = <T extends HTMLElement>(name: string) => form.querySelector<T>(`[data-${name}]`)!;
  const [card, list, summary, skippedNote] = [
    part("list"),
    part("files"),
    part("summary"),
    part("skipped"),
  ];
  const [cancel, retry, done, total] = [
    part<HTMLButtonElement>("cancel"),
    part<HTMLButtonElement>("retry"),
    part<HTMLAnchorElement>("done"),
    part<HTMLProgressElement>("total"),
  ];
  const partial = form.querySelector<HTMLInputElement>("[name=allow_partial]");
  const frames = (["every", "seconds"] as const).map(
    (name) => form.querySelector<HTMLInputElement>(`[name=${name}]`)!,
  );
  /** The form's other fields, as the API takes them. */
  const options = (): Record<string, string> => {
    const asked = frames.find(({ value }) => value !== "");
    return {
      ...(partial?.checked ? { allow_partial: "true" } : {}),
      ...(asked ? { [asked.name]: asked.value } : {}),
    };
  };
  const uploads: Upload[] = [];
  let skipped = 0;
  let running = 0;

  const busy = () => uploads.some((u) => ["waiting", "sending", "checking"].includes(u.state));

  function add(found: readonly FoundFile[], left: number): void {
    skipped += left;
    for (const { file, path } of found) uploads.push(new Upload(file, path, list));
    card.hidden = false;
    next();
  }

  function next(): void {
    while (running < AT_ONCE) {
      const upload = uploads.find((u) => u.state === "waiting");
      if (!upload) break;
      running += 1;
      void send(upload, url, options(), refresh).finally(() => {
        running -= 1;
        next();
      });
    }
    refresh();
  }

  let drawn = 0;
  function refresh(): void {
    cancelAnimationFrame(drawn);
    drawn = requestAnimationFrame(draw);
  }

  function draw(): void {
    const count = (state: State) => uploads.filter((u) => u.state === state).length;
    const failed = count("failed") + count("cancelled");
    const ready = uploads.filter((u) => FINAL.includes(u.state)).length;
    const images = uploads.reduce((sum, u) => sum + u.images, 0);
    const parts = [`${ready} of ${uploads.length} uploaded`];
    if (images !== count("done")) parts.push(`${images} images added`);
    if (count("known")) parts.push(`${count("known")} already there`);
    if (count("failed")) parts.push(`${count("failed")} failed`);
    if (count("cancelled")) parts.push(`${count("cancelled")} cancelled`);
    summary.textContent = parts.join(", ");
    skippedNote.textContent = skipped
      ? `${skipped} file${skipped === 1 ? " that is no image was" : "s that are no images were"} left out.`
      : "";
    total.max = Math.max(1, uploads.length);
    total.value = ready + failed;
    cancel.hidden = !busy();
    retry.hidden = busy() || failed === 0;
    done.hidden = busy() || ready === 0;
  }

  for (const input of form.querySelectorAll<HTMLInputElement>("[data-pick]")) {
    input.addEventListener("change", () => {
      const files = [...(input.files ?? [])];
      const found = files
        .map((file) => ({ file, path: file.webkitRelativePath || file.name }))
        .filter(({ file, path }) => path === file.name || looksLikeImage(file.name));
      input.value = "";
      if (files.length) add(found, files.length - found.length);
    });
  }
  const folderButton = part<HTMLElement>("folder-button");
  folderButton.hidden = !("webkitdirectory" in HTMLInputElement.prototype);

  // The whole window takes the drop: a file that misses the frame must not replace the page.
  const zone = form.querySelector<HTMLElement>(".dropzone")!;
  window.addEventListener("dragover", (event) => {
    event.preventDefault();
    zone.classList.add("over");
  });
  window.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) zone.classList.remove("over");
  });
  window.addEventListener("drop", (event) => {
    event.preventDefault();
    zone.classList.remove("over");
    if (event.dataTransfer) {
      void filesOfDrop(event.dataTransfer).then(({ found, skipped }) => add(found, skipped));
    }
  });

  cancel.addEventListener("click", () => {
    for (const upload of uploads) {
      if (upload.state === "waiting") upload.show("cancelled");
      upload.request?.abort();
    }
    refresh();
  });
  retry.addEventListener("click", () => {
    for (const upload of uploads) {
      if (upload.state === "failed" || upload.state === "cancelled") {
        upload.sent = 0;
        upload.show("waiting");
      }
    }
    next();
  });
  window.addEventListener("beforeunload", (event) => {
    if (busy()) event.preventDefault();
  });
}

/** Sends one file; waits and tries again while the server is busy. Ends in a final state. */
async function send(
  upload: Upload,
  url: string,
  options: Record<string, string>,
  refresh: () => void,
): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    upload.show("sending");
    const reply = await post(upload, url, options, refresh);
    if (reply === null) {
      upload.show("cancelled");
    } else if ([0, 429, 502, 503].includes(reply.status) && attempt < TRIES) {
      upload.show("sending", "The server is busy; trying again.");
      const seconds = reply.retryAfter || 2 ** attempt;
      await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
      continue;
    } else {
      const { state, detail, images } = outcome(reply);
      upload.images = images;
      upload.show(state, detail);
    }
    refresh();
    return;
  }
}

/** One request with one file in it. Null: a person cancelled it. Status 0: it never arrived. */
function post(
  upload: Upload,
  url: string,
  options: Record<string, string>,
  refresh: () => void,
): Promise<Reply | null> {
  return new Promise((resolve) => {
    const request = new XMLHttpRequest();
    const body = new FormData();
    body.append("files", upload.file, upload.path);
    for (const [name, value] of Object.entries(options)) body.append(name, value);
    upload.request = request;
    request.upload.onprogress = (event) => {
      upload.sent = Math.min(event.loaded, upload.file.size);
      upload.show(upload.sent >= upload.file.size ? "checking" : "sending");
      refresh();
    };
    const end = (reply: Reply | null) => {
      upload.request = null;
      resolve(reply);
    };
    request.onload = () =>
      end({
        status: request.status,
        body: parsed(request.responseText),
        retryAfter: Number(request.getResponseHeader("Retry-After")) || 0,
      });
    request.onerror = () => end({ status: 0, body: null, retryAfter: 0 });
    request.onabort = () => end(null);
    request.open("POST", url);
    request.setRequestHeader("X-CSRFToken", cookie("csrftoken"));
    request.setRequestHeader("Accept", "application/json");
    request.send(body);
  });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function cookie(name: string): string {
  const found = document.cookie.split("; ").find((pair) => pair.startsWith(`${name}=`));
  return decodeURIComponent(found?.slice(name.length + 1) ?? "");
}

/** What became of the one file in the request, in words. */
function outcome(reply: Reply): { state: State; detail: string; images: number } {
  const refused = (detail: string) => ({ state: "failed" as State, detail, images: 0 });
  if (reply.status === 0) return refused("The server could not be reached. Retry when it can.");
  if (reply.status === 401)
    return refused("You are logged out. Log in in another tab, then retry.");
  const body = reply.body as Body | null;
  if (reply.status >= 400) {
    if (body?.code === "duplicate") return { state: "known", detail: body.detail ?? "", images: 0 };
    return refused(body?.detail ? words(body) : `The server answered ${reply.status}. Retry.`);
  }
  if (body?.jobs?.length) {
    return {
      state: "queued",
      detail: "A worker reads it; see Jobs for how far it is.",
      images: 0,
    };
  }
  const results = body?.results ?? [];
  const errors = results.flatMap((result) => (result.error ? [result.error] : []));
  const bad = errors.filter((error) => error.code !== "duplicate");
  const notes = [];
  if (results.length > 1) notes.push(`${results.length - errors.length} images added.`);
  if (errors.length > bad.length) notes.push(`${errors.length - bad.length} were already there.`);
  if (bad.length) notes.push(`${bad.length} refused:`, ...bad.slice(0, SHOWN_ERRORS).map(words));
  return { state: "done", detail: notes.join(" "), images: results.length - errors.length };
}

function words(refusal: Refusal): string {
  return `${refusal.detail ?? ""} ${refusal.hint ?? ""}`.trim();
}
