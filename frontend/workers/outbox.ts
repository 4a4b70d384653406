import { type DBSchema, type IDBPDatabase, openDB } from "idb";
import type { ProjectKind, Size, StoredRegion } from "../core/types";

/** The work of one person on one image: what writes belong to. */
export interface Scope {
  readonly user: number;
  readonly image: number;
  readonly kind: ProjectKind;
  readonly size: Size;
}

/** One write that the server has not confirmed yet. */
export interface PendingWrite {
  /** Made once, repeated on retry. */
  readonly key: string;
  readonly scope: Scope;
  /** Who sends it; when nobody of that name is alive any more, the next one takes it over. */
  readonly session: string;
  /** Greater is later. */
  readonly order: number;
  readonly op: "upsert" | "delete" | "dismiss" | "restore";
  /** A region's UUID, or the id of a proposal. */
  readonly target: string | number;
  /** As it is to be, of an upsert. */
  readonly region: StoredRegion | null;
  /** Null: on what the write of the same region before it leads to. */
  readonly basedOn: number | null;
  /** It was sent and may have arrived: it must be repeated as it is. */
  readonly sent: boolean;
}

/** Where finished gestures wait until the server has them. Each call is one transaction. */
export interface Outbox {
  /** In the order of the writes. */
  all(user: number): Promise<PendingWrite[]>;
  change(puts: readonly PendingWrite[], deletes: readonly string[]): Promise<void>;
}

interface OutboxSchema extends DBSchema {
  writes: { key: string; value: PendingWrite; indexes: { user: number } };
}

export class IdbOutbox implements Outbox {
  private database: Promise<IDBPDatabase<OutboxSchema>> | null = null;

  constructor(private readonly name = "labeler-outbox") {}

  async all(user: number): Promise<PendingWrite[]> {
    const writes = await (await this.open()).getAllFromIndex("writes", "user", user);
    return writes.sort((a, b) => a.order - b.order);
  }

  async change(puts: readonly PendingWrite[], deletes: readonly string[]): Promise<void> {
    const database = await this.open();
    const transaction = database.transaction("writes", "readwrite", { durability: "strict" });
    // An error of a request is told by the transaction.
    const ignored = () => undefined;
    try {
      for (const write of puts) transaction.store.put(write).catch(ignored);
      for (const key of deletes) transaction.store.delete(key).catch(ignored);
    } catch (error) {
      transaction.done.catch(ignored);
      transaction.abort();
      throw error;
    }
    await transaction.done;
  }

  private open(): Promise<IDBPDatabase<OutboxSchema>> {
    this.database ??= openDB<OutboxSchema>(this.name, 1, {
      upgrade(database) {
        const store = database.createObjectStore("writes", { keyPath: "key" });
        store.createIndex("user", "scope.user");
      },
      terminated: () => {
        this.database = null;
      },
    }).catch((error: unknown) => {
      this.database = null;
      throw error;
    });
    return this.database;
  }
}
