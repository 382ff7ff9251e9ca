import { setTimeout as delay } from 'node:timers/promises';
import type {
  DriverSession,
  DriverTurn,
  EarlierPrompt,
  McpServer,
  Message,
  SessionCapabilities,
  SessionMetadata,
  TurnRequest,
  TurnSink,
  VoiceChoice,
} from '../../actors/ports.ts';
import { isoTime, list, record, text } from '../json.ts';
import { ask, type OpencodeClient, toSupervisorError } from './requests.ts';
import { Demultiplexer } from './demultiplexer.ts';
import { reconcileTurn } from './reconcile.ts';
import { checkRequest, OpencodeTurn, OVERDUE_MS, type TurnPlace } from './turn.ts';
import { TurnTranslator } from './turn-translator.ts';
import { expectVoice } from './voice.ts';

/** Pause between two looks at a session that is to become quiet, in milliseconds. */
const QUIET_POLL_MS = 250;

const CAPABILITIES: SessionCapabilities = {
  resume: true,
  fork: true,
  listSessions: true,
  setModel: true,
  setMode: true,
  images: true,
  files: true,
  mcpServers: true,
  questions: true,
  deleteSession: true,
};

/** What the session's prompts use where they name nothing else. */
export interface SessionDefaults {
  readonly model?: string;
  readonly agent: string;
}

interface KnownSession {
  readonly restored: boolean;
  readonly title: string | undefined;
  readonly defaults: SessionDefaults;
  readonly mcpServers: readonly McpServer[];
}

/** What a request about a session is made with. */
interface SessionRequest {
  readonly client: OpencodeClient;
  readonly body: { readonly sessionID: string; readonly directory: string };
}

/** A session on an opencode server. The server keeps it over its own restarts. */
export class OpencodeSession implements DriverSession {
  readonly agentSessionId: string;
  readonly directory: string;
  readonly restored: boolean;
  readonly capabilities = CAPABILITIES;
  readonly metadata: SessionMetadata;
  readonly choices = { models: [], modes: [], commands: [] };
  readonly #place: TurnPlace;
  readonly #defaults: SessionDefaults;
  readonly #mcpServers: readonly McpServer[];

  constructor(place: TurnPlace, known: KnownSession) {
    this.agentSessionId = place.sessionId;
    this.directory = place.directory;
    this.restored = known.restored;
    this.metadata = known.title === undefined ? {} : { title: known.title };
    this.#place = place;
    this.#defaults = known.defaults;
    this.#mcpServers = known.mcpServers;
  }

  check(request: TurnRequest): void {
    checkRequest(request);
  }

  begin(request: TurnRequest, sink: TurnSink): DriverTurn {
    const needs = { mcpServers: this.#mcpServers, voice: this.#unknownOf(request) };
    return new OpencodeTurn(this.#place, this.#withDefaults(request), sink, needs);
  }

  async verify(choice: VoiceChoice, signal: AbortSignal): Promise<void> {
    await this.#during(({ client }) => expectVoice(client, this.directory, choice, signal)).catch(rethrow);
  }

  quiet(signal: AbortSignal): Promise<void> {
    return this.#during((request) => this.#quiet(request, signal));
  }

  async #quiet({ client, body }: SessionRequest, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const statuses = await ask('GET /session/status', signal, (options) => client.session.status(body, options));
      const type = record(record(statuses)[this.agentSessionId])['type'];
      if (type !== 'busy' && type !== 'retry') return;
      await ask('POST /session/{id}/abort', signal, (options) => client.session.abort(body, options));
      await delay(QUIET_POLL_MS, undefined, { signal });
    }
  }

  async fork(signal: AbortSignal): Promise<string> {
    const forked = await this.#during(({ client, body }) =>
      ask('POST /session/{id}/fork', signal, (options) => client.session.fork(body, options)),
    ).catch(rethrow);
    return forked.id;
  }

  async messages(signal: AbortSignal): Promise<Message[]> {
    const messages = await this.#during(({ client, body }) =>
      ask('GET /session/{id}/message', signal, (options) => client.session.messages(body, options)),
    ).catch(rethrow);
    return list(messages).map((message) => toMessage(record(message)));
  }

  /** [opencode] The server keeps every message: it is read like those of a running turn. */
  async recount({ messageId, ageMs }: EarlierPrompt, sink: TurnSink, signal: AbortSignal): Promise<void> {
    const demultiplexer = new Demultiplexer();
    const place = { ...this.#place, demultiplexer };
    const translator = new TurnTranslator({ ...place, messageId }, sink);
    demultiplexer.attach(translator);
    const turn = { place, translator, sink, isOtherLife: place.isOurs, isOverdue: ageMs > OVERDUE_MS };
    await this.#during(({ client }) => reconcileTurn(turn, client, signal)).catch(rethrow);
  }

  async close(options: { readonly delete: boolean }, signal: AbortSignal): Promise<void> {
    if (!options.delete) return;
    await this.#during(({ client, body }) =>
      ask('DELETE /session/{id}', signal, (request) => client.session.delete(body, request)),
    ).catch(rethrow);
  }

  /** [opencode] A prompt without a model or an agent gets those of the prompt before: what one turn asked for would stick. */
  #withDefaults(request: TurnRequest): TurnRequest {
    const { model, agent } = this.#defaults;
    return {
      ...(model === undefined ? {} : { model }),
      ...(request.mode === undefined ? { agent } : {}),
      ...request,
    };
  }

  /** What the prompt asks for beyond what the session was opened with. */
  #unknownOf({ model, agent, mode }: TurnRequest): VoiceChoice {
    const known = this.#defaults;
    return {
      ...(model === undefined || model === known.model ? {} : { model }),
      ...(agent === undefined || agent === known.agent ? {} : { agent }),
      ...(mode === undefined || mode === known.agent ? {} : { mode }),
    };
  }

  /** Nobody gives the directory up meanwhile. */
  async #during<T>(work: (request: SessionRequest) => Promise<T>): Promise<T> {
    const { sessionId: sessionID, directory, life, directories } = this.#place;
    const leave = await directories.enter(directory);
    try {
      return await work({ client: life.client(directory), body: { sessionID, directory } });
    } finally {
      leave();
    }
  }
}

function rethrow(error: unknown): never {
  throw toSupervisorError(error, 'The session could not be reached');
}

function toMessage(message: Readonly<Record<string, unknown>>): Message {
  const info = record(message['info']);
  const createdAt = isoTime(record(info['time'])['created']);
  const texts = list(message['parts'])
    .map(record)
    .filter((part) => part['type'] === 'text' && part['synthetic'] !== true);
  return {
    id: text(info['id']) ?? '',
    role: text(info['role']) ?? 'unknown',
    text: texts.map((part) => text(part['text']) ?? '').join(''),
    ...(createdAt === undefined ? {} : { createdAt }),
  };
}
