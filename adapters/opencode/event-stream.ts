import { get as httpGet, type ClientRequest, type IncomingMessage } from 'node:http';
import { get as httpsGet } from 'node:https';
import { createParser, type EventSourceParser } from 'eventsource-parser';
import type { Failure } from '../../actors/ports.ts';

/** One event of more bytes than this ends the connection. */
const MAX_EVENT_BYTES = 8 * 1024 * 1024;

/** [sse] One byte order mark at the very beginning is no part of the stream. */
const BYTE_ORDER_MARK = /^\uFEFF/;

/** Told about one connection; `ended` or `failed` comes last, once, and never after `close`. */
export interface EventStreamObserver {
  connected(): void;
  /** Any byte arrived. */
  bytes(): void;
  event(data: string): void;
  ended(): void;
  failed(failure: Failure): void;
}

export interface EventStreamTarget {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * Reads one server-sent event stream to its end. It never reconnects: that is the chart's decision.
 * [sse] `id:`, `event:` and `retry:` are not used by opencode and ignored here.
 */
export class EventStream {
  readonly #observer: EventStreamObserver;
  readonly #request: ClientRequest;
  readonly #parser: EventSourceParser;
  #over = false;
  #isFirstChunk = true;

  constructor({ url, headers }: EventStreamTarget, observer: EventStreamObserver) {
    this.#observer = observer;
    this.#parser = createParser({
      maxBufferSize: MAX_EVENT_BYTES,
      onEvent: (event) => this.#over || observer.event(event.data),
      onError: (error) => this.#onParseError(error),
    });
    const get = url.startsWith('https:') ? httpsGet : httpGet;
    const options = { agent: false, headers: { ...headers, accept: 'text/event-stream', 'cache-control': 'no-cache' } };
    this.#request = get(url, options, (response) => this.#onResponse(response));
    this.#request.on('error', (error) => this.#fail(lost(error)));
  }

  /** Ends the connection; the observer hears nothing more. */
  close(): void {
    this.#over = true;
    this.#request.destroy();
  }

  #onResponse(response: IncomingMessage): void {
    const refusal = refusalOf(response);
    if (refusal) {
      response.resume();
      return this.#fail(refusal);
    }
    this.#observer.connected();
    response.setEncoding('utf8');
    response.on('data', (chunk: string) => this.#onChunk(chunk));
    response.on('end', () => this.#finish(() => this.#observer.ended()));
    response.on('error', (error) => this.#fail(lost(error)));
    response.on('close', () => this.#fail({ code: 'ERR_STREAM_FAILED', message: 'The event stream was cut.' }));
  }

  #onChunk(chunk: string): void {
    if (this.#over) return;
    this.#observer.bytes();
    this.#parser.feed(this.#isFirstChunk ? chunk.replace(BYTE_ORDER_MARK, '') : chunk);
    this.#isFirstChunk = false;
  }

  /** Fields that are not of the protocol are skipped, as it demands; only a limit ends the connection. */
  #onParseError(error: { type: string; message: string }): void {
    if (error.type !== 'max-buffer-size-exceeded') return;
    const message = `The server sent an event of more than ${MAX_EVENT_BYTES} bytes; the connection is replaced.`;
    this.#fail({ code: 'ERR_STREAM_FAILED', reason: 'event-too-large', message });
  }

  #fail(failure: Failure): void {
    this.#finish(() => this.#observer.failed(failure));
  }

  #finish(tell: () => void): void {
    if (this.#over) return;
    this.close();
    tell();
  }
}

function lost(error: Error): Failure {
  const reason = (error as NodeJS.ErrnoException).code;
  const message = `The connection to the event stream broke: ${error.message}`;
  return { code: 'ERR_STREAM_FAILED', message, ...(reason === undefined ? {} : { reason }) };
}

/** [sse] Anything but 200 with the event stream's content type is no stream. */
function refusalOf({ statusCode, headers }: IncomingMessage): Failure | undefined {
  const contentType = headers['content-type'] ?? 'no content type';
  if (statusCode === 401 || statusCode === 403) {
    return {
      code: 'ERR_AUTH_REQUIRED',
      message: `The event stream answered ${statusCode}: the server does not accept our password.`,
    };
  }
  if (statusCode === 200 && contentType.startsWith('text/event-stream')) return undefined;
  const message = `The event stream answered ${statusCode ?? 0} with ${contentType}; expected 200 with text/event-stream.`;
  return { code: 'ERR_STREAM_FAILED', reason: `http-${statusCode ?? 0}`, message };
}
