import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { machinesReadme } from './machines-readme.ts';

it('shows in machines/README.md the charts as they are', () => {
  const page = readFileSync(new URL('../../machines/README.md', import.meta.url), 'utf8');
  expect(page, 'run `npm run diagrams`').toBe(machinesReadme());
});
