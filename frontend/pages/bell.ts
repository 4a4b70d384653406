import { bellTitle, followUnread, unreadLabel } from "../panels/unread";

/** Keeps the bell's number as it is on the server. */
export function followBell(bell: HTMLElement): void {
  const count = bell.querySelector<HTMLElement>(".count");
  if (!count) return;
  followUnread((unread) => {
    count.textContent = unreadLabel(unread);
    count.hidden = unread === 0;
    bell.setAttribute("aria-label", bellTitle(unread));
  });
}
