import type { components } from "../api/schema";

const EVERY_MS = 60_000;
/** The server counts no further. */
const MANY = 100;

export function unreadLabel(unread: number): string {
  return unread >= MANY ? `${MANY - 1}+` : String(unread);
}

export function bellTitle(unread: number): string {
  return unread ? `Notifications, ${unreadLabel(unread)} unread` : "Notifications";
}

/**
 * Says how many notifications are unread, once a minute and only while the tab is looked at. The
 * count that the page came with is the first one. Ends where the login ended.
 */
export function followUnread(show: (unread: number) => void): void {
  let asked = Date.now();
  const check = async (): Promise<void> => {
    if (document.visibilityState !== "visible" || Date.now() - asked < EVERY_MS) return;
    asked = Date.now();
    const reply = await fetch("/api/notifications/unread").catch(() => null);
    if (reply?.status === 401) stop();
    if (reply?.ok) show(((await reply.json()) as components["schemas"]["Unread"]).unread);
  };
  const timer = setInterval(check, EVERY_MS / 6);
  document.addEventListener("visibilitychange", check);
  const stop = (): void => {
    clearInterval(timer);
    document.removeEventListener("visibilitychange", check);
  };
}
