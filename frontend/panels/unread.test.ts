import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { bellTitle, followUnread, unreadLabel } from "./unread";

class Tab extends EventTarget {
  visibilityState = "visible";

  show(visible: boolean): void {
    this.visibilityState = visible ? "visible" : "hidden";
    this.dispatchEvent(new Event("visibilitychange"));
  }
}

let tab: Tab;
let asked: ReturnType<typeof vi.fn>;

beforeEach(() => {
  vi.useFakeTimers();
  tab = new Tab();
  asked = vi.fn(async () => Response.json({ unread: 3 }));
  vi.stubGlobal("document", tab);
  vi.stubGlobal("fetch", asked);
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

test("asks once a minute, only while the tab is seen", async () => {
  const shown: number[] = [];
  followUnread((unread) => shown.push(unread));
  await vi.advanceTimersByTimeAsync(59_000);
  expect(asked).toHaveBeenCalledTimes(0);
  await vi.advanceTimersByTimeAsync(3 * 60_000);
  expect(asked).toHaveBeenCalledTimes(3);
  expect(shown).toEqual([3, 3, 3]);
  tab.show(false);
  await vi.advanceTimersByTimeAsync(60 * 60_000);
  expect(asked).toHaveBeenCalledTimes(3);
  tab.show(true);
  tab.show(true);
  await vi.advanceTimersByTimeAsync(1000);
  expect(asked).toHaveBeenCalledTimes(4);
});

test("goes on after a failure and ends where the login ended", async () => {
  const shown: number[] = [];
  followUnread((unread) => shown.push(unread));
  asked.mockRejectedValueOnce(new TypeError("offline"));
  await vi.advanceTimersByTimeAsync(2 * 60_000);
  expect(shown).toEqual([3]);
  asked.mockResolvedValue(new Response(null, { status: 401 }));
  await vi.advanceTimersByTimeAsync(10 * 60_000);
  expect(asked).toHaveBeenCalledTimes(3);
});

test("says how many, up to what the server counts", () => {
  expect([unreadLabel(7), unreadLabel(100)]).toEqual(["7", "99+"]);
  expect([bellTitle(0), bellTitle(2)]).toEqual(["Notifications", "Notifications, 2 unread"]);
});
