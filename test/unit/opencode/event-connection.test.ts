import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import type { ConnectionObserver, TurnFact, TurnSink } from '../../../actors/ports.ts';
import { Demultiplexer } from '../../../adapters/opencode/demultiplexer.ts';
import { EventConnection } from '../../../adapters/opencode/event-connection.ts';
import { TurnTranslator } from '../../../adapters/opencode/turn-translator.ts';
import { until } from '../../fixtures/until.ts';
import { VirtualClock } from '../../fixtures/virtual-clock.ts';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

/** A server that streams what the test writes, a connection to it, and two running turns. */
async function connected({ serves = () => true }: { serves?: (turn: TurnTranslator) => boolean } = {}) {
  let response!: ServerResponse;
  const server = createServer((_, opened) => {
    response = opened.writeHead(200, { 'content-type': 'text/event-stream' });
    response.flushHeaders();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const clock = new VirtualClock();
  const demultiplexer = new Demultiplexer();
  const sinks = ['ses_1', 'ses_2'].map((id) => attach(demultiplexer, id));
  const told: unknown[] = [];
  const logged: string[] = [];
  const log = (_: object, message: string) => void logged.push(message);
  const observer: ConnectionObserver = {
    connected: () => told.push('connected'),
    opened: () => told.push('opened'),
    ended: (productive) => told.push(['ended', productive]),
    failed: (productive, failure) => told.push(['failed', productive, failure.reason]),
  };
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/event`;
  const connection = new EventConnection({
    target: { url, headers: {} },
    demultiplexer,
    serves,
    clock,
    logger: { debug: log, info: log, warn: log, error: log },
    observer,
    onClose: () => undefined,
    onBytes: () => undefined,
  });
  closers.push(() => {
    connection.close();
    server.closeAllConnections();
    server.close();
  });
  await until('it is connected', () => told.includes('connected'), 5_000);
  const send = (event: unknown) =>
    response.write(`data: ${typeof event === 'string' ? event : JSON.stringify(event)}\n\n`);
  /** Sends something harmless, and waits until it was read: everything before it was read too. */
  const read = async () => {
    const before = connection.lastSeenAt();
    clock.increment(1);
    send({ type: 'server.heartbeat', properties: {} });
    await until('it was read', () => connection.lastSeenAt() > before, 5_000);
  };
  return { connection, demultiplexer, clock, sinks, told, logged, send, read, end: () => response.end() };
}

function attach(
  demultiplexer: Demultiplexer,
  sessionId: string,
  onFact = (_: TurnFact): void => undefined,
): TurnFact[] {
  const facts: TurnFact[] = [];
  const ignore = () => undefined;
  const sink: TurnSink = {
    emit: ignore,
    unsay: ignore,
    touch: ignore,
    ask: ignore,
    retract: ignore,
    fact: (fact) => {
      onFact(fact);
      facts.push(fact);
    },
  };
  demultiplexer.attach(
    new TurnTranslator({ sessionId, directory: '/project', messageId: `msg_of_${sessionId}` }, sink),
  );
  return facts;
}

const status = (sessionID: string, type: string) => ({
  type: 'session.status',
  properties: { sessionID, status: { type } },
});

describe('a connection to a server’s events', () => {
  it('holds everything back until it is released, and then keeps the order', async () => {
    const { connection, sinks, send, read } = await connected();
    send(status('ses_1', 'busy'));
    send(status('ses_1', 'idle'));
    await read();
    expect(sinks[0]).toEqual([]);
    connection.release();
    send(status('ses_1', 'busy'));
    await read();
    expect(sinks[0]).toEqual([{ kind: 'working' }, { kind: 'quiet' }, { kind: 'working' }]);
  });

  it('leads each event to its own turn, and to no turn that another connection serves', async () => {
    const { connection, sinks, send, read } = await connected({ serves: (turn) => turn.sessionId === 'ses_1' });
    connection.release();
    send(status('ses_1', 'busy'));
    send({ directory: '/project', payload: status('ses_2', 'busy') });
    send(status('ses_unknown', 'busy'));
    await read();
    expect(sinks).toEqual([[{ kind: 'working' }], []]);
  });

  it('survives what is no JSON and what nobody knows, and says so in the log', async () => {
    const { connection, sinks, logged, send, read } = await connected();
    connection.release();
    for (const noise of ['{broken', '', 'null', '[]', '{"type":"from.the.future","properties":null}']) send(noise);
    send(status('ses_1', 'busy'));
    await read();
    expect(sinks[0]).toEqual([{ kind: 'working' }]);
    expect(logged).toEqual(Array(2).fill('An event is not JSON; it is skipped.'));
  });

  it('survives a turn that cannot take an event, and tells the others', async () => {
    const { connection, demultiplexer, sinks, logged, send, read } = await connected();
    attach(demultiplexer, 'ses_broken', () => {
      throw new Error('the turn is broken');
    });
    connection.release();
    send(status('ses_broken', 'busy'));
    send(status('ses_1', 'busy'));
    await read();
    expect(sinks[0]).toEqual([{ kind: 'working' }]);
    expect(logged).toHaveLength(1);
  });

  it('skips the second telling of everything', async () => {
    const { connection, sinks, send, read } = await connected();
    connection.release();
    send({ directory: '/project', project: 'p', payload: { type: 'sync', syncEvent: status('ses_1', 'busy') } });
    await read();
    expect(sinks[0]).toEqual([]);
  });

  it('is productive once it delivered more than its greeting, and learns the pause between heartbeats', async () => {
    const { connection, clock, told, send, read } = await connected();
    send({ type: 'server.connected', properties: {} });
    await until('it is open', () => told.includes('opened'), 5_000);
    expect([connection.isProductive(), connection.heartbeatMs()]).toEqual([false, undefined]);
    await read();
    clock.increment(9_999);
    await read();
    expect([connection.isProductive(), connection.heartbeatMs()]).toEqual([true, 10_000]);
  });

  it('tells its end, with what it was worth', async () => {
    const { told, read, end } = await connected();
    await read();
    await read();
    end();
    await until('the end is told', () => told.length === 3, 5_000);
    expect(told).toEqual(['connected', 'opened', ['ended', true]]);
  });

  it('is replaced when more comes than it can hold back', async () => {
    const { told, send } = await connected();
    for (let count = 0; count < 20_100; count += 1) send(status('ses_1', 'busy'));
    await until('the failure is told', () => told.length > 2, 10_000);
    expect(told.at(-1)).toEqual(['failed', true, 'held-too-many']);
  });
});
