/** A turn that was under way when its record was written. */
export interface StoredTurn {
  readonly id: string;
  /** The backend's name for its prompt, where we choose it: what became of it can be asked by this. */
  readonly messageId?: string;
  /** An ISO time. */
  readonly startedAt: string;
}

/** What is remembered of the conversation of one chat with one backend: plain JSON, no prompt, no secret. */
export interface StoredSession {
  readonly backend: string;
  readonly chatId: string;
  readonly agentSessionId: string;
  /** Absolute. */
  readonly directory: string;
  /**
   * `active`: a turn runs. `idle`: none does. `crashed`: one ran when its process or its host ended. `closed`: it was
   * closed, and the chat begins anew.
   */
  readonly status: 'active' | 'idle' | 'crashed' | 'closed';
  /** An ISO time. */
  readonly lastActiveAt: string;
  /** The process life that carried it last. */
  readonly generation: number;
  /** Something was said in it: an empty conversation is not the same. */
  readonly hasHistory: boolean;
  readonly turn?: StoredTurn;
}

/**
 * Where sessions are remembered over the end of the host. Each call may reject: what fails is tried again and told as a
 * warning, and no turn ever fails for it. Calls that write follow each other; `get` and `list` may come at any time.
 */
export interface SessionStore {
  /** Called once, before anything else. Rejects where another host has the store. */
  open(): Promise<void>;
  /** The record of a chat with a backend. */
  get(backend: string, chatId: string): Promise<StoredSession | undefined>;
  /** Replaces the record, whole or not at all. */
  put(session: StoredSession): Promise<void>;
  delete(backend: string, chatId: string): Promise<void>;
  /** All records, in any order. */
  list(): Promise<StoredSession[]>;
  /** Called once, at the end; everything that was put is kept by then. */
  close(): Promise<void>;
}
