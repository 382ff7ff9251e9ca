import type { Writable } from 'node:stream';
import { type AnyMessage, methods, type Stream } from '@agentclientprotocol/sdk';
import { messageOf } from '../../actors/errors.ts';
import { type JsonFields, record, text } from '../json.ts';
import { ChunkTemplate } from './chunk-template.ts';
import { Flood } from './flood.ts';
import { LineDecoder } from './line-decoder.ts';
import { Valve } from './valve.ts';

/** The SDK's own limit of one message, in bytes. */
const MAX_LINE_BYTES = 32 * 1024 * 1024;

/** Requests of the agent that wait for our answers. With more of them it is not read until some are answered. */
const MAX_REQUESTS = 64;

/** What an agent answered to a request. */
export type Answer = { readonly result: JsonFields } | { readonly error: JsonFields };

/** Told what becomes of one prompt. */
export interface PromptWatcher {
  /** It was given to the system, or could not be: then nobody reads it. */
  written(isWritten: boolean): void;
  /** It is the answer's turn among the updates. */
  answered(answer: Answer): void;
}

export interface WireOptions {
  readonly input: Writable;
  /** Begins or ceases to read its output. */
  readonly flow: (isRead: boolean) => void;
  /** An update of a session, in the order in which it came. */
  readonly onUpdate: (sessionId: string, update: JsonFields) => void;
  /** Anything came. */
  readonly onBytes: () => void;
  /** The agent broke the protocol in a way that cannot be survived. */
  readonly onBroken: (reason: string) => void;
}

/**
 * The messages of one agent process. Updates take a fast lane: they go to their turn at once, and in order with the
 * answer to its prompt. Everything else goes through the SDK. What is no message is counted and skipped, and nothing is
 * written back for it.
 */
export class Wire {
  /** What the SDK reads and writes. */
  readonly stream: Stream;
  /** Lines that were no message. */
  noise = 0;
  /** Who holds up the agent's output, and whether anybody does. */
  readonly valve: Valve;
  readonly #options: WireOptions;
  readonly #decoder: LineDecoder;
  /** By session: whose prompt is about to be written; by request: whose answer is to come. */
  readonly #prompting = new Map<string, PromptWatcher>();
  readonly #prompted = new Map<unknown, PromptWatcher>();
  readonly #requests = new Set<unknown>();
  /** Requests of ours that are not answered, prompts excepted. */
  readonly #asked = new Set<unknown>();
  readonly #template = new ChunkTemplate();
  readonly #flood = new Flood((isHeld) => this.valve.hold(this, isHeld));
  /** The SDK reads no more. */
  #isCancelled = false;
  #incoming!: ReadableStreamDefaultController<AnyMessage>;
  #isEnded = false;

  constructor(options: WireOptions) {
    this.#options = options;
    this.valve = new Valve(options.flow);
    this.#decoder = new LineDecoder({
      maxLineBytes: MAX_LINE_BYTES,
      onLine: (line) => {
        try {
          this.#onLine(line);
        } catch (error) {
          options.onBroken(`a message that cannot be handled (${messageOf(error)})`);
        }
      },
      onOverflow: () => options.onBroken(`a message of more than ${MAX_LINE_BYTES} bytes`),
    });
    this.stream = {
      readable: new ReadableStream<AnyMessage>({
        start: (controller) => void (this.#incoming = controller),
        cancel: () => void (this.#isCancelled = true),
      }),
      writable: new WritableStream<AnyMessage>({ write: (message) => this.#write(message) }),
    };
  }

  /** There is somebody who reads and may answer. */
  get isOpen(): boolean {
    return !this.#isEnded && this.#options.input.writable;
  }

  receive(chunk: Buffer): void {
    this.#options.onBytes();
    this.#decoder.write(chunk);
    if (!this.#isEnded) this.#flood.note();
  }

  /** Watches the session's next prompt. */
  watchPrompt(sessionId: string, watcher: PromptWatcher): void {
    this.#prompting.set(sessionId, watcher);
  }

  /** Nothing comes any more. */
  end(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#flood.end();
    this.#prompting.clear();
    this.#prompted.clear();
    if (!this.#isCancelled) this.#incoming.close();
  }

  #onLine(line: string): void {
    const like = this.#template.read(line);
    if (like) return this.#options.onUpdate(like.sessionId, like.update);
    const message = parse(line);
    if (!message) {
      if (line.trim() !== '') this.noise += 1;
      return;
    }
    if (message['method'] === 'session/update' && message['id'] === undefined) {
      return this.#onUpdate(line, message);
    }
    if (message['method'] === undefined) this.#onAnswer(message);
    else if (isRequest(message)) this.#countRequests(() => this.#requests.add(message['id']));
    if (!this.#isEnded && !this.#isCancelled) this.#incoming.enqueue(message as AnyMessage);
  }

  #onUpdate(line: string, message: JsonFields): void {
    const params = record(message['params']);
    const sessionId = text(params['sessionId']);
    const update = record(params['update']);
    if (sessionId === undefined || text(update['sessionUpdate']) === undefined) {
      this.noise += 1;
      return;
    }
    this.#template.learn(line, { sessionId, update });
    this.#options.onUpdate(sessionId, update);
  }

  #onAnswer(message: JsonFields): void {
    this.#countAsked(() => this.#asked.delete(message['id']));
    const watcher = this.#prompted.get(message['id']);
    this.#prompted.delete(message['id']);
    watcher?.answered(
      message['error'] === undefined ? { result: record(message['result']) } : { error: record(message['error']) },
    );
  }

  #watcherOf(request: JsonFields): PromptWatcher | undefined {
    const sessionId = text(record(request['params'])['sessionId']) ?? '';
    const watcher = this.#prompting.get(sessionId);
    this.#prompting.delete(sessionId);
    if (watcher) this.#prompted.set(request['id'], watcher);
    return watcher;
  }

  /** Who waits for an answer to a request of ours does not wait for a reader. */
  #countAsked(change: () => void): void {
    change();
    this.valve.keepOpen(this.#asked.size > 0);
  }

  #countRequests(change: () => void): void {
    change();
    this.valve.hold(this.#requests, this.#requests.size > MAX_REQUESTS);
  }

  #write(message: AnyMessage): Promise<void> {
    if (!('method' in message)) this.#countRequests(() => this.#requests.delete(message.id));
    const isPrompt = 'method' in message && message.method === methods.agent.session.prompt;
    const watcher = isPrompt ? this.#watcherOf(record(message)) : undefined;
    if (!isPrompt && 'method' in message && 'id' in message) this.#countAsked(() => this.#asked.add(message.id));
    return this.#writeLine(JSON.stringify(message)).then(
      () => watcher?.written(true),
      (error: unknown) => {
        watcher?.written(false);
        throw error;
      },
    );
  }

  #writeLine(line: string): Promise<void> {
    const { input } = this.#options;
    if (!input.writable) return Promise.reject(new Error('The agent does not read any more.'));
    return new Promise((resolve, reject) => {
      input.write(`${line}\n`, (error) => (error ? reject(error) : resolve()));
    });
  }
}

/** One that will be answered. */
function isRequest({ method, id }: JsonFields): boolean {
  return typeof method === 'string' && (typeof id === 'string' || typeof id === 'number');
}

function parse(line: string): JsonFields | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    const message: unknown = JSON.parse(line);
    return record(message)['jsonrpc'] === '2.0' ? record(message) : undefined;
  } catch {
    return undefined; // Not JSON: counted as noise by the caller.
  }
}
