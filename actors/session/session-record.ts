import type { Failure } from '../../machines/policies/failure-class.ts';
import type { TurnEvent } from '../../machines/turn-setup.ts';
import type { Carrier } from '../carrier.ts';
import type { McpServer, PermissionHandler, QuestionHandler, Session } from '../contract/session.ts';
import type { StoredTurn } from '../contract/store.ts';
import type { DriverSession } from '../ports.ts';
import type { TurnRuntime } from '../turn/turn-runtime.ts';

/** What a session is opened with and remembers. */
export interface SessionSettings {
  readonly backendId: string;
  readonly chatId: string;
  title?: string;
  model?: string;
  agent?: string;
  mode?: string;
  mcpServers?: McpServer[];
  onPermission?: PermissionHandler;
  onQuestion?: QuestionHandler;
}

/** One conversation. Idle, it is this record and nothing else: no actor, no emitter, no timer. */
export class SessionRecord {
  readonly id: string;
  readonly settings: SessionSettings;
  driver: DriverSession;
  /** What its turns run on, from `attach` on. */
  carrier!: Carrier;
  references = 0;
  restored: 'restored' | 'replaced' | undefined;
  /** The turn that a host before this one left unsettled. */
  interrupted: Session['interrupted'];
  /** A prompt was sent: there is something to continue. */
  hasHistory = false;
  /** The last turn has no known end. */
  isCrashed = false;
  /** What is to be remembered of the running turn. */
  turn: StoredTurn | undefined;
  /** Why no further prompt is accepted. */
  closed: Failure | undefined;
  /** Settles when the close is done. */
  closing: Promise<void> = Promise.resolve();
  /** An earlier turn was given up while the backend may still work on it. */
  unquiet = false;
  running: TurnRuntime | undefined;
  /** Lets the next turn begin, where none runs and one may. */
  admitNext: () => void = () => undefined;
  readonly queue: TurnRuntime[] = [];

  constructor(id: string, settings: SessionSettings, driver: DriverSession) {
    this.id = id;
    this.settings = settings;
    this.driver = driver;
  }

  get isIdle(): boolean {
    return this.running === undefined && this.queue.length === 0;
  }

  /** All turns that are not settled, the running one first. */
  turns(): readonly TurnRuntime[] {
    return this.running ? [this.running, ...this.queue] : this.queue;
  }

  /** Tells the running turn; where none runs there is nobody to tell. */
  tellRunning(event: TurnEvent): void {
    this.running?.send(event);
  }

  /** Takes the next turn of the line, unless one runs. */
  next(): TurnRuntime | undefined {
    if (this.running) return undefined;
    this.running = this.queue.shift();
    return this.running;
  }

  /** The turn is settled: it leaves the line. */
  leave(turn: TurnRuntime): void {
    if (this.running === turn) {
      this.unquiet ||= turn.mayBeWorking;
      this.running = undefined;
    }
    const place = this.queue.indexOf(turn);
    if (place >= 0) this.queue.splice(place, 1);
  }
}
