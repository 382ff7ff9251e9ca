import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { describe, expect, it } from 'vitest';
import { PrivateConfig } from '../../../adapters/opencode/launch-plan.ts';
import { Redactor } from '../../../adapters/process/redaction.ts';

describe('a configuration as the server’s environment carries it', () => {
  it('has its secrets in files of its owner, which go with it', async () => {
    const redactor = new Redactor();
    const config = new PrivateConfig({ provider: { a: { options: { apiKey: 'canary', timeout: 5 } } } }, redactor);
    const { provider } = JSON.parse(config.content) as { provider: { a: { options: { apiKey: string } } } };
    const path = /^\{file:(.*)\}$/.exec(provider.a.options.apiKey)?.[1] ?? '';
    expect([readFileSync(path, 'utf8'), statSync(path).mode & 0o777]).toEqual(['canary', 0o600]);
    expect([config.content.includes('canary'), redactor.redact('the canary sings')]).toEqual([
      false,
      expect.not.stringContaining('canary'),
    ]);
    await config.remove();
    expect(existsSync(dirname(path))).toBe(false);
  });

  it('keeps what refers to a variable or a file, also in the middle of a value', () => {
    const headers = { Authorization: 'Bearer {env:MY_API_KEY}', 'x-token': '{file:~/.token}' };
    const { content } = new PrivateConfig({ headers }, new Redactor());
    expect(JSON.parse(content)).toEqual({ headers });
  });
});
