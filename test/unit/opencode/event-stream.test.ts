import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { EventStream } from '../../../adapters/opencode/event-stream.ts';

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

/** A server that answers one way, on every path. */
async function serve(answer: (response: ServerResponse) => void): Promise<string> {
  const server = createServer((_, response) => answer(response));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closers.push(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/event`;
}

const stream = (response: ServerResponse) => response.writeHead(200, { 'content-type': 'text/event-stream' });

/** Reads a stream to its end, and returns everything that was told. */
async function told(url: string): Promise<unknown[]> {
  const log: unknown[] = [];
  await new Promise<void>((resolve) => {
    new EventStream(
      { url, headers: { authorization: 'Basic x' } },
      {
        connected: () => log.push('connected'),
        bytes: () => undefined,
        event: (data) => log.push(data),
        ended: () => resolve(void log.push('ended')),
        failed: (failure) => resolve(void log.push(failure.code, failure.reason ?? '')),
      },
    );
  });
  return log;
}

describe('one connection to a server’s events', () => {
  it('tells the events and the clean end', async () => {
    const url = await serve((response) => stream(response).end('data: {"a":1}\n\ndata: {"b":2}\n\n'));
    expect(await told(url)).toEqual(['connected', '{"a":1}', '{"b":2}', 'ended']);
  });

  it.each<[string, string]>([
    ['comments, empty lines and fields of other kinds', ': hello\n\nid: 1\nevent: x\nretry: 5\ndata: a\n\n'],
    ['CRLF line ends', 'data: a\r\n\r\n'],
    ['a byte order mark', '\uFEFFdata: a\n\n'],
    ['no space after the colon', 'data:a\n\n'],
  ])('reads %s as the protocol says', async (_, body) => {
    expect(await told(await serve((response) => stream(response).end(body)))).toEqual(['connected', 'a', 'ended']);
  });

  it('joins the lines of one event', async () => {
    expect(await told(await serve((response) => stream(response).end('data: a\ndata: b\n\n')))).toEqual([
      'connected',
      'a\nb',
      'ended',
    ]);
  });

  it('reads the same events however the bytes are cut, also inside a character', async () => {
    const events = ['{"text":"Hello wörld"}', '{"text":"日本語 🎉"}', '{"text":""}'];
    const bytes = Buffer.from(events.map((event) => `data: ${event}\n\n`).join(''));
    let cuts: readonly number[] = [];
    const url = await serve((response) => {
      stream(response);
      const places = [0, ...cuts, bytes.length];
      places.slice(1).forEach((end, index) => response.write(bytes.subarray(places[index], end)));
      response.end();
    });
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(fc.integer({ min: 1, max: bytes.length - 1 }), { maxLength: 12 }),
        async (places) => {
          cuts = [...places].sort((a, b) => a - b);
          expect(await told(url)).toEqual(['connected', ...events, 'ended']);
        },
      ),
      { numRuns: 150 },
    );
  });

  it.each<[string, (response: ServerResponse) => void, unknown[]]>([
    [
      'a page of HTML',
      (response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<html>'),
      ['ERR_STREAM_FAILED', 'http-200'],
    ],
    ['204', (response) => response.writeHead(204).end(), ['ERR_STREAM_FAILED', 'http-204']],
    ['a redirect', (response) => response.writeHead(301, { location: '/' }).end(), ['ERR_STREAM_FAILED', 'http-301']],
    ['401', (response) => response.writeHead(401).end(), ['ERR_AUTH_REQUIRED', '']],
    ['403', (response) => response.writeHead(403).end(), ['ERR_AUTH_REQUIRED', '']],
    ['429', (response) => response.writeHead(429).end(), ['ERR_STREAM_FAILED', 'http-429']],
    ['500', (response) => response.writeHead(500).end('oops'), ['ERR_STREAM_FAILED', 'http-500']],
    ['503', (response) => response.writeHead(503).end(), ['ERR_STREAM_FAILED', 'http-503']],
  ])('fails with a typed reason where the server answers %s', async (_, answer, failure) => {
    expect(await told(await serve(answer))).toEqual(failure);
  });

  it('fails where the connection is cut, after what was told before', async () => {
    const url = await serve((response) => {
      stream(response).write('data: a\n\ndata: half');
      setImmediate(() => response.destroy());
    });
    const log = await told(url);
    expect([log.slice(0, 2), log[2]]).toEqual([['connected', 'a'], 'ERR_STREAM_FAILED']);
  });

  it('fails where nobody listens', async () => {
    expect(await told('http://127.0.0.1:1/event')).toEqual(['ERR_STREAM_FAILED', 'ECONNREFUSED']);
  });

  it('ends at an event of 64 MiB, with bounded memory', async () => {
    const megabyte = 'x'.repeat(1024 * 1024);
    const url = await serve((response) => {
      stream(response).write('data: a\n\ndata: ');
      const pump = (left: number): void => {
        if (left === 0 || response.destroyed) return;
        response.write(megabyte, () => pump(left - 1));
      };
      pump(64);
    });
    const before = process.memoryUsage().heapUsed;
    expect(await told(url)).toEqual(['connected', 'a', 'ERR_STREAM_FAILED', 'event-too-large']);
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(64 * 1024 * 1024);
  });

  it('tells nothing after it is closed', async () => {
    let response!: ServerResponse;
    const url = await serve((opened) => stream((response = opened)).write('data: a\n\n'));
    const log: string[] = [];
    const target = { url, headers: {} };
    await new Promise<void>((resolve) => {
      const connection = new EventStream(target, {
        connected: () => undefined,
        bytes: () => undefined,
        event: (data) => {
          log.push(data);
          connection.close();
          response.once('close', resolve);
        },
        ended: () => log.push('ended'),
        failed: () => log.push('failed'),
      });
    });
    expect(log).toEqual(['a']);
  });
});
