/** A pause longer than this is not work, milliseconds. */
const LONGEST_PAUSE = 30_000;

/** Counts the time in which somebody works in this tab. */
export class ActiveTime {
  private last = 0;
  private spent = 0;

  constructor() {
    for (const type of ["pointermove", "pointerdown", "keydown", "wheel"]) {
      addEventListener(type, (event) => this.sign(event.timeStamp), { passive: true });
    }
  }

  /** Seconds of work since the last call. */
  take(): number {
    const seconds = this.spent / 1000;
    this.spent = 0;
    return seconds;
  }

  private sign(now: number): void {
    const pause = now - this.last;
    if (pause < LONGEST_PAUSE) this.spent += pause;
    this.last = now;
  }
}
