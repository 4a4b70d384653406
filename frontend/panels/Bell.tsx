import { useEffect, useState } from "preact/hooks";
import { useEditor } from "./context";
import { Icon } from "./icons";
import { bellTitle, followUnread, unreadLabel } from "./unread";

/** Leads to the notifications and says how many are unread. */
export function Bell() {
  const [unread, show] = useState(useEditor().boot.unread);
  useEffect(() => followUnread(show), []);
  return (
    <a
      class="bell"
      href="/notifications"
      aria-label={bellTitle(unread)}
      data-tip={bellTitle(unread)}
    >
      <Icon name="bell" />
      {unread > 0 && <span class="badge count accent">{unreadLabel(unread)}</span>}
    </a>
  );
}
