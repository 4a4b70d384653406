import { Autosave, type AutosaveOptions, type Clock } from "./autosave";
import type { Outbox, PendingWrite, Scope } from "./outbox";
import type { Send } from "./wire";

/** Which sessions are alive, over all tabs of this browser. */
export interface Sessions {
  /** Says that this session lives until the returned function is called or the tab ends. */
  hold(session: string): Promise<() => void>;
  alive(): Promise<ReadonlySet<string>>;
  /** Runs one at a time over all tabs. */
  exclusive<Result>(task: () => Promise<Result>): Promise<Result>;
}

export interface SaverOptions {
  readonly user: number;
  readonly outbox: Outbox;
  readonly send: Send;
  readonly clock: Clock;
  readonly sessions: Sessions;
  readonly newUuid: () => string;
  readonly encode: AutosaveOptions["encode"];
}

export interface OpenOptions {
  readonly scope: Omit<Scope, "user">;
  readonly annotation: number | null;
  readonly revision: number;
  readonly versions: ReadonlyMap<string, number>;
  readonly takeSeconds?: () => number;
}

interface Running {
  readonly image: number;
  readonly autosave: Autosave;
  readonly release: () => void;
}

/**
 * The saving of one page: an Autosave for the open image, and one for each image that was left, or
 * whose tab was killed, while some of its writes still waited.
 */
export class Saver {
  private readonly running = new Set<Running>();

  constructor(private readonly options: SaverOptions) {}

  /**
   * Call before the image's regions are fetched: what waits for it is sent first, or stays in the
   * outbox for `open`.
   */
  async settle(image: number): Promise<void> {
    for (const one of [...this.running].filter((running) => running.image === image)) {
      await one.autosave.flush();
      await this.end(one);
    }
  }

  /** An Autosave that has taken over what earlier sessions left for the image. */
  async open(options: OpenOptions): Promise<Autosave> {
    const { scope, ...rest } = options;
    const session = this.options.newUuid();
    const release = await this.options.sessions.hold(session);
    const adopted = await this.adopt(session, (write) => write.scope.image === scope.image);
    return this.start(
      { ...rest, scope: { ...scope, user: this.options.user } },
      session,
      release,
      adopted,
    );
  }

  /** The image is left: no more of its document is saved, what waits is sent until it is done. */
  close(autosave: Autosave): void {
    autosave.detach();
    const one = [...this.running].find((running) => running.autosave === autosave);
    if (one) this.endWhenDone(one);
  }

  /** Sends what dead tabs left behind. Call when the page has opened, and when the network is back. */
  async sweep(): Promise<void> {
    const session = this.options.newUuid();
    const release = await this.options.sessions.hold(session);
    const found = await this.adopt(session, () => true);
    const images = new Map(found.map(({ scope }) => [scope.image, scope]));
    if (images.size === 0) release();
    let left = images.size;
    for (const [image, scope] of images) {
      const autosave = this.start(
        { scope, annotation: null, revision: 0, versions: new Map() },
        session,
        () => {
          left -= 1;
          if (left === 0) release();
        },
        found.filter((write) => write.scope.image === image),
      );
      this.close(autosave);
    }
  }

  /** After a new login, or when the network is back. */
  retry(): void {
    for (const { autosave } of this.running) autosave.retry();
  }

  private start(
    options: Omit<OpenOptions, "scope"> & { scope: Scope },
    session: string,
    release: () => void,
    adopted: readonly PendingWrite[],
  ): Autosave {
    const { outbox, send, clock, newUuid, encode } = this.options;
    const autosave = new Autosave({
      ...options,
      session,
      adopted,
      outbox,
      send,
      clock,
      newUuid,
      encode,
    });
    this.running.add({ image: options.scope.image, autosave, release });
    return autosave;
  }

  /** Conflicts and errors wait in the outbox until the image is opened again. */
  private endWhenDone(one: Running): void {
    const ended = () => ["saved", "conflict", "error"].includes(one.autosave.state.status);
    if (ended()) void this.end(one);
    else {
      const stop = one.autosave.subscribe(() => {
        if (!ended()) return;
        stop();
        void this.end(one);
      });
    }
  }

  private async end(one: Running): Promise<void> {
    this.running.delete(one);
    await one.autosave.stop();
    one.release();
  }

  private async adopt(
    session: string,
    wanted: (write: PendingWrite) => boolean,
  ): Promise<PendingWrite[]> {
    const { outbox, user, sessions } = this.options;
    try {
      return await sessions.exclusive(async () => {
        const alive = await sessions.alive();
        const orphans = (await outbox.all(user)).filter(
          (write) => !alive.has(write.session) && wanted(write),
        );
        const mine = orphans.map((write) => ({ ...write, session }));
        await outbox.change(mine, []);
        return mine;
      });
    } catch {
      // A browser that cannot store has nothing left behind.
      return [];
    }
  }
}

/** Sessions as Web Locks, which end with their tab. */
export class LockSessions implements Sessions {
  private static readonly PREFIX = "labeler-session:";
  private readonly own = new Set<string>();

  hold(session: string): Promise<() => void> {
    this.own.add(session);
    const forget = () => this.own.delete(session);
    if (!navigator.locks) return Promise.resolve(forget);
    return new Promise((resolve, reject) => {
      navigator.locks
        .request(
          LockSessions.PREFIX + session,
          () =>
            new Promise<void>((done) => {
              resolve(() => {
                forget();
                done();
              });
            }),
        )
        .catch(reject);
    });
  }

  async alive(): Promise<ReadonlySet<string>> {
    const held = (await navigator.locks?.query())?.held ?? [];
    const names = held.map(({ name }) => name?.slice(LockSessions.PREFIX.length) ?? "");
    return new Set([...this.own, ...names]);
  }

  exclusive<Result>(task: () => Promise<Result>): Promise<Result> {
    if (!navigator.locks) return task();
    return navigator.locks.request("labeler-adopt", task) as Promise<Result>;
  }
}

export const pageClock: Clock = {
  now: () => Date.now(),
  after(milliseconds, call) {
    const timer = setTimeout(call, milliseconds);
    return () => clearTimeout(timer);
  },
};
