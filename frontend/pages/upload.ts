/**
 * The upload page: files and folders by drop or choice, each with its progress.
 *
 * They are sent in the order of their names, one request after the other with several files in each:
 * images are given out and shown in the order in which they came.
 */

import { batchSize, inOrder, outcomes } from "./batches";
import { type FoundFile, filesOfDrop, looksLikeImage } from "./files";

const TRIES = 4;
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

class Upload {
  state: State = "waiting";
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
  let request: XMLHttpRequest | null = null;
  let running = false;
  let cancelled = false;

  const busy = () => uploads.some((u) => ["waiting", "sending", "checking"].includes(u.state));

  function add(found: readonly FoundFile[], left: number): void {
    skipped += left;
    for (const { file, path } of inOrder(found)) uploads.push(new Upload(file, path, list));
    card.hidden = false;
    void run();
  }

  /** Sends what waits, until nothing does. */
  async function run(): Promise<void> {
    refresh();
    if (running) return;
    running = true;
    cancelled = false;
    for (;;) {
      const waiting = uploads.filter(({ state }) => state === "waiting");
      if (waiting.length === 0) break;
      await send(waiting.slice(0, batchSize(waiting.map(({ file }) => file.size))));
    }
    running = false;
    refresh();
  }

  /** Sends these in a request; waits and tries again while the server is busy. All end in a state. */
  async function send(batch: readonly Upload[]): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      for (const upload of batch) upload.show("sending");
      request = new XMLHttpRequest();
      const reply = await post(request, batch, url, options(), refresh);
      request = null;
      if (reply === null) {
        for (const upload of batch) upload.show("cancelled");
      } else if ([0, 429, 502, 503].includes(reply.status) && attempt < TRIES) {
        for (const upload of batch) upload.show("sending", "The server is busy; trying again.");
        const seconds = reply.retryAfter || 2 ** attempt;
        await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
        if (!cancelled) continue;
        for (const upload of batch) upload.show("cancelled");
      } else {
        outcomes(reply, batch.length).forEach(({ state, detail, images }, number) => {
          const upload = batch[number] as Upload;
          upload.images = images;
          upload.show(state, detail);
        });
      }
      refresh();
      return;
    }
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
    }
    cancelled = true;
    request?.abort();
    refresh();
  });
  retry.addEventListener("click", () => {
    for (const upload of uploads) {
      if (upload.state === "failed" || upload.state === "cancelled") {
        upload.sent = 0;
        upload.show("waiting");
      }
    }
    void run();
  });
  window.addEventListener("beforeunload", (event) => {
    if (busy()) event.preventDefault();
  });
}

/** What the server said about a request, and how long it asks to wait, in seconds. */
interface Answer {
  readonly status: number;
  readonly body: unknown;
  readonly retryAfter: number;
}

/** One request with all of the batch. Null: a person cancelled it. Status 0: it never arrived. */
function post(
  request: XMLHttpRequest,
  batch: readonly Upload[],
  url: string,
  options: Record<string, string>,
  refresh: () => void,
): Promise<Answer | null> {
  return new Promise((resolve) => {
    const body = new FormData();
    for (const { file, path } of batch) body.append("files", file, path);
    for (const [name, value] of Object.entries(options)) body.append(name, value);
    request.upload.onprogress = (event) => {
      let left = event.loaded;
      for (const upload of batch) {
        upload.sent = Math.max(0, Math.min(left, upload.file.size));
        left -= upload.file.size;
        upload.show(left >= 0 ? "checking" : "sending");
      }
      refresh();
    };
    request.onload = () =>
      resolve({
        status: request.status,
        body: parsed(request.responseText),
        retryAfter: Number(request.getResponseHeader("Retry-After")) || 0,
      });
    request.onerror = () => resolve({ status: 0, body: null, retryAfter: 0 });
    request.onabort = () => resolve(null);
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
