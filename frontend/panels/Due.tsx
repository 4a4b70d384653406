import { useEditor } from "./context";

/** The batch of the image that the queue gave, and until when it is wanted. */
export function Due() {
  const lease = useEditor().holding.lease.value;
  if (!lease?.batch && !lease?.due_at) return null;
  const due = lease.due_at ? new Date(lease.due_at) : null;
  const late = due !== null && due.getTime() < Date.now();
  return (
    <span class={`badge ${late ? "warning" : ""}`}>
      {lease.batch}
      {due &&
        ` · ${late ? "was due" : "due"} ${due.toLocaleDateString(undefined, { dateStyle: "medium" })}`}
    </span>
  );
}
