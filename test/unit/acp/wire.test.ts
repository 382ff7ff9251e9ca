import { PassThrough } from 'node:stream';
import { client, methods } from '@agentclientprotocol/sdk';
import { describe, expect, it } from 'vitest';
import { until } from '../../fixtures/until.ts';
import { Wire } from '../../../adapters/acp/wire.ts';

/** A wire to an agent that the test plays. */
function connected() {
  const input = new PassThrough();
  const heard: unknown[] = [];
  const broken: string[] = [];
  const flow: boolean[] = [];
  const wire = new Wire({
    input,
    flow: (isRead) => void flow.push(isRead),
    onUpdate: (sessionId, update) => heard.push([sessionId, update['sessionUpdate']]),
    onBytes: () => undefined,
    onBroken: (reason) => broken.push(reason),
  });
  const { agent } = client({ name: 'test' }).connect(wire.stream);
  const say = (...messages: unknown[]) =>
    wire.receive(Buffer.from(messages.map((message) => `${JSON.stringify(message)}\n`).join('')));
  const written = () =>
    String(input.read() ?? '')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as { id?: number; method?: string });
  return { wire, agent, input, heard, broken, flow, say, written };
}

const update = (sessionId: string, sessionUpdate: string) => ({
  jsonrpc: '2.0',
  method: 'session/update',
  params: { sessionId, update: { sessionUpdate } },
});

describe('the wire to an agent', () => {
  it('tells the answer to a prompt between the updates that came before it and those that came after', async () => {
    const { wire, agent, heard, say, written } = connected();
    wire.watchPrompt('s', { written: () => undefined, answered: (answer) => heard.push(answer) });
    const prompted = agent.request(methods.agent.session.prompt, { sessionId: 's', prompt: [] });
    await new Promise(setImmediate);
    const [request] = written();
    const answer = { jsonrpc: '2.0', id: request?.id, result: { stopReason: 'end_turn' } };
    say(update('s', 'one'), update('s', 'two'), answer, update('s', 'late'));
    expect(heard).toEqual([['s', 'one'], ['s', 'two'], { result: { stopReason: 'end_turn' } }, ['s', 'late']]);
    expect(await prompted).toEqual({ stopReason: 'end_turn' });
  });

  it('tells a refusal in the agent’s own words', async () => {
    const { wire, agent, heard, say, written } = connected();
    wire.watchPrompt('s', { written: () => undefined, answered: (answer) => heard.push(answer) });
    const refused = expect(
      agent.request(methods.agent.session.prompt, { sessionId: 's', prompt: [] }),
    ).rejects.toThrow();
    await new Promise(setImmediate);
    say({ jsonrpc: '2.0', id: written()[0]?.id, error: { code: -32603, message: 'no' } });
    expect(heard).toEqual([{ error: { code: -32603, message: 'no' } }]);
    await refused;
  });

  it('tells whether a prompt could be written at all', async () => {
    const { wire, agent, input } = connected();
    const told: boolean[] = [];
    const watch = () =>
      wire.watchPrompt('s', { written: (isWritten) => told.push(isWritten), answered: () => undefined });
    const prompt = () => agent.request(methods.agent.session.prompt, { sessionId: 's', prompt: [] });
    watch();
    prompt().catch(() => undefined);
    await until('it is written', () => told.length === 1, 5_000);
    input.on('error', () => undefined).destroy(new Error('EPIPE'));
    watch();
    await expect(prompt()).rejects.toThrow();
    expect(told).toEqual([true, false]);
  });

  it('counts what is no message, and writes nothing back for it', async () => {
    const { wire, heard, say, written } = connected();
    wire.receive(Buffer.from('\u001b[1mhello\u001b[0m\r\n\n{"half":\n[]\n{"jsonrpc":"1.0"}\n"text"\n'));
    say({ jsonrpc: '2.0', method: 'session/update', params: { sessionId: 5 } });
    say(update('s', 'fine'));
    await new Promise(setImmediate);
    expect([wire.noise, heard, written()]).toEqual([6, [['s', 'fine']], []]);
  });

  it('is not read while too many of the agent’s requests wait for an answer', async () => {
    const { wire, flow, say, written } = connected();
    const ask = (id: number) => ({ jsonrpc: '2.0', id, method: 'unheard/of', params: {} });
    say(...Array.from({ length: 65 }, (_, id) => ask(id)));
    expect([flow, wire.valve.isShut]).toEqual([[false], true]);
    await until('they are answered', () => !wire.valve.isShut, 5_000);
    expect([flow, written().length > 0]).toEqual([[false, true], true]);
  });

  it('is read on whatever requests come that nobody can answer, and while we ask something ourselves', async () => {
    const { wire, agent, say, written } = connected();
    const objects = Array.from({ length: 100 }, (_, id) => ({ jsonrpc: '2.0', id: { id }, method: 'x' }));
    const numbers = Array.from({ length: 100 }, (_, id) => ({ jsonrpc: '2.0', id, method: 5 }));
    say(...objects, ...numbers);
    expect(wire.valve.isShut).toBe(false);
    wire.valve.hold('a reader', true);
    const asked = agent.request(methods.agent.session.list, {});
    await until('we have asked', () => !wire.valve.isShut, 5_000);
    const request = written().find(({ method }) => method === 'session/list');
    say({ jsonrpc: '2.0', id: request?.id, result: { sessions: [] } });
    await asked;
    expect(wire.valve.isShut).toBe(true);
  });

  it('that brings many small pieces is read in fewer', async () => {
    const { wire, flow, heard } = connected();
    const line = Buffer.from(`${JSON.stringify(update('s', 'one'))}\n`);
    for (let count = 0; count < 16; count += 1) wire.receive(line);
    expect([flow, heard.length]).toEqual([[false], 16]);
    await until('it is read again', () => flow.length === 2, 5_000);
    wire.receive(line);
    expect([flow.slice(0, 2), heard.length]).toEqual([[false, true], 17]);
  });

  it('takes lines that end as on Windows', () => {
    const { wire, heard } = connected();
    wire.receive(Buffer.from(`${JSON.stringify(update('s', 'one'))}\r\n`));
    expect(heard).toEqual([['s', 'one']]);
  });

  it('has no end that throws, however often it comes', async () => {
    const { wire, agent } = connected();
    const asked = expect(agent.request(methods.agent.initialize, { protocolVersion: 1 })).rejects.toThrow();
    wire.end();
    wire.end();
    wire.receive(Buffer.from(`${JSON.stringify(update('s', 'late'))}\n{"jsonrpc":"2.0","id":0,"result":{}}\n`));
    await asked;
    expect(wire.isOpen).toBe(false);
  });
});
