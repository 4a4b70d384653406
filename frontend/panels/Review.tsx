import { useState } from "preact/hooks";
import * as actions from "./actions";
import { useEditor } from "./context";
import { Section } from "./controls";
import { Icon } from "./icons";

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
    <Section title="Review" class="review" count={comments.filter((one) => !one.resolved).length}>
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
      <ul class="comments">
        {comments.map((comment, index) => (
          <li key={comment.id} class={comment.resolved ? "dim" : ""}>
            <button
              type="button"
              class="comment-text"
              disabled={comment.x === null || comment.y === null}
              onClick={() => {
                if (comment.x === null || comment.y === null) return;
                editor.stage.viewport.show({
                  x: comment.x - 40,
                  y: comment.y - 40,
                  width: 80,
                  height: 80,
                });
              }}
            >
              <span class="badge count">{index + 1}</span> {comment.text}
            </button>
            <p class="facts">
              {comment.author}, {day(comment.at)} ·{" "}
              <button
                type="button"
                class="link"
                onClick={() => void actions.resolveComment(editor, comment.id, !comment.resolved)}
              >
                {comment.resolved ? "Open again" : "Done"}
              </button>
            </p>
          </li>
        ))}
      </ul>
      <CommentForm />
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

function CommentForm() {
  const editor = useEditor();
  const [text, setText] = useState("");
  const selected = editor.viewState.value.selection.length === 1;
  return (
    <form
      class="row"
      onSubmit={(event) => {
        event.preventDefault();
        if (text.trim()) void actions.addComment(editor, text.trim()).then(() => setText(""));
      }}
    >
      <input
        type="text"
        placeholder={selected ? "Comment on this region" : "Comment on this image"}
        aria-label={selected ? "Comment on the selected region" : "Comment on this image"}
        value={text}
        onInput={(event) => setText(event.currentTarget.value)}
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
