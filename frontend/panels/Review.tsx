import { useState } from "preact/hooks";
import type { ApiComment } from "../api/workspace";
import * as actions from "./actions";
import { useEditor } from "./context";
import { Section } from "./controls";
import { Icon } from "./icons";
import { fix } from "./reviewCommands";

const VERDICTS = { approve: "Approved", send_back: "Sent back", reopen: "Reopened" };

/** The verdicts and remarks on this annotation: prominent for whoever has to act on them. */
export function ReviewPanel() {
  const editor = useEditor();
  const { annotation } = editor.workspace.value ?? {};
  if (!annotation) return null;
  const comments = editor.comments.value;
  const latest = [...annotation.reviews].sort((a, b) => b.at.localeCompare(a.at))[0];
  const reviewable = actions.reviewable(editor);
  const role = editor.workspace.value?.project.role;
  const mayReopen = role !== "annotator" && annotation.status === "approved";
  if (!latest && comments.length === 0 && !reviewable && !mayReopen) return null;
  return (
    <Section
      title="Review"
      class="review"
      count={comments.filter((one) => !one.resolved && one.reply_to === null).length}
    >
      {annotation.status === "sent_back" && latest && (
        <div class="notice warning">
          <Icon name="warning" />
          <div>
            <strong>Sent back by {latest.reviewer}</strong>
            <p>{latest.comment}</p>
          </div>
        </div>
      )}
      {annotation.status !== "sent_back" && latest && (
        <p class="facts">
          {VERDICTS[latest.verdict]} by {latest.reviewer}, {day(latest.at)}
          {latest.comment && `: ${latest.comment}`}
        </p>
      )}
      {reviewable && <p class="facts">The work of {annotation.annotator.username}.</p>}
      {reviewable && !annotation.fixing && (
        <button
          type="button"
          class="button small"
          data-tip="Alt+K"
          onClick={() => void fix(editor)}
        >
          Correct it yourself
        </button>
      )}
      {annotation.fixing && (
        <p class="facts">You correct it: what you change is saved under your name.</p>
      )}
      <ul class="comments">
        {comments
          .filter(({ reply_to }) => reply_to === null)
          .map((comment, index) => (
            <CommentThread key={comment.id} comment={comment} number={index + 1} />
          ))}
      </ul>
      <CommentForm replyTo={null} />
      {mayReopen && (
        <button
          type="button"
          class="button small"
          onClick={() => void actions.review(editor, "reopen", "")}
        >
          Reopen for changes
        </button>
      )}
    </Section>
  );
}

function CommentThread({ comment, number }: { comment: ApiComment; number: number }) {
  const editor = useEditor();
  const [answering, setAnswering] = useState(false);
  const answers = editor.comments.value.filter(({ reply_to }) => reply_to === comment.id);
  const { x, y } = comment;
  return (
    <li class={comment.resolved ? "dim" : ""}>
      <button
        type="button"
        class="comment-text"
        disabled={x === null || y === null}
        onClick={() => {
          if (x === null || y === null) return;
          editor.stage.viewport.show({ x: x - 40, y: y - 40, width: 80, height: 80 });
        }}
      >
        <span class="badge count">{number}</span> {comment.text}
      </button>
      <p class="facts">
        {comment.author}, {day(comment.at)}{" "}
        {comment.stale && (
          <span class="badge warning" title="The pixels under it changed since">
            stale
          </span>
        )}{" "}
        ·{" "}
        <button
          type="button"
          class="link"
          onClick={() => void actions.resolveComment(editor, comment.id, !comment.resolved)}
        >
          {comment.resolved ? "Open again" : "Done"}
        </button>{" "}
        ·{" "}
        <button type="button" class="link" onClick={() => setAnswering(!answering)}>
          Answer
        </button>
      </p>
      {answers.length > 0 && (
        <ul class="comments">
          {answers.map((answer) => (
            <li key={answer.id}>
              <p class="comment-text">{answer.text}</p>
              <p class="facts">
                {answer.author}, {day(answer.at)}
              </p>
            </li>
          ))}
        </ul>
      )}
      {answering && <CommentForm replyTo={comment.id} done={() => setAnswering(false)} />}
    </li>
  );
}

function CommentForm({ replyTo, done }: { replyTo: number | null; done?: () => void }) {
  const editor = useEditor();
  const [text, setText] = useState("");
  const selected = editor.viewState.value.selection.length === 1;
  const [hint, label] =
    replyTo !== null
      ? ["Answer", "Answer to the comment"]
      : selected
        ? ["Comment on this region", "Comment on the selected region"]
        : ["Comment on this image", "Comment on this image"];
  return (
    <form
      class="row"
      onSubmit={(event) => {
        event.preventDefault();
        if (!text.trim()) return;
        void actions.addComment(editor, text.trim(), replyTo).then(() => {
          setText("");
          done?.();
        });
      }}
    >
      <input
        type="text"
        placeholder={hint}
        aria-label={label}
        value={text}
        onInput={(event) => setText(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === "Escape") event.currentTarget.blur();
        }}
      />
      <button type="submit" class="button small" disabled={!text.trim() || editor.busy.value}>
        Add
      </button>
    </form>
  );
}

function day(at: string): string {
  return new Date(at).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}
