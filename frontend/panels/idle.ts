/** Where the browser does not say when it is idle: milliseconds of work, and of pause before it. */
const WORK = 4;
const PAUSE = 50;

/** Calls `work` while nothing else is to be done, until it says that it is done. */
export function whenIdle(work: (go: () => boolean) => boolean): void {
  const step = (left: () => number) => {
    if (!work(() => left() > 1)) whenIdle(work);
  };
  if ("requestIdleCallback" in globalThis) {
    requestIdleCallback((deadline) => step(() => deadline.timeRemaining()));
    return;
  }
  setTimeout(() => {
    const end = performance.now() + WORK;
    step(() => end - performance.now());
  }, PAUSE);
}
