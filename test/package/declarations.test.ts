import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const dist = (entry: string) => join(root, 'dist', entry);

/** The packages that the declarations of an entry lead to. */
function packagesOf(entry: string): string[] {
  const seen = new Set<string>();
  const packages = new Set<string>();
  const visit = (file: string): void => {
    if (seen.has(file)) return;
    seen.add(file);
    const source = readFileSync(file, 'utf8');
    for (const [, specifier = ''] of source.matchAll(/(?:from|import\()\s*['"]([^'"]+)['"]/g)) {
      if (specifier.startsWith('.')) visit(join(dirname(file), specifier.replace(/\.(js|ts)$/, '.d.ts')));
      else packages.add(specifier);
    }
  };
  visit(entry);
  return [...packages].sort();
}

/** What an entry leads to. */
async function metafileOf(entry: string, options: { readonly packages?: 'external' } = {}) {
  const { metafile } = await build({
    entryPoints: [join(root, entry)],
    bundle: true,
    platform: 'node',
    format: 'esm',
    write: false,
    metafile: true,
    ...options,
  });
  return metafile;
}

/** The packages and adapters that an entry loads. */
async function loadedBy(entry: string): Promise<string[]> {
  const metafile = await metafileOf(entry);
  const names = Object.keys(metafile.inputs).map(
    (path) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1] ?? /^adapters\/[^/]+/.exec(path)?.[0],
  );
  return [...new Set(names.filter((name) => name !== undefined))].sort();
}

describe('the built declarations', () => {
  it('of the main entry name no type of a library, so a host needs none of them to read its types', () => {
    expect(packagesOf(dist('index.d.ts'))).toEqual([]);
  });

  it('of the entry of the Agent Client Protocol name no type of a library either', () => {
    expect(packagesOf(dist('adapters/acp/index.d.ts'))).toEqual([]);
  });

  it('of the entry of the stores name no type of a library either', () => {
    expect(packagesOf(dist('adapters/store/index.d.ts'))).toEqual([]);
  });

  it('of the opencode entry name the SDK, whose client the lease holds, and nothing else', () => {
    expect(packagesOf(dist('adapters/opencode/index.d.ts'))).toEqual(['@opencode-ai/sdk/v2/client']);
  });
});

describe('what an entry loads', () => {
  it('is nothing of opencode for the entry of the Agent Client Protocol, and the other way round', async () => {
    const [acp, opencode] = await Promise.all([
      loadedBy('adapters/acp/index.ts'),
      loadedBy('adapters/opencode/index.ts'),
    ]);
    expect(acp).toEqual(expect.arrayContaining(['@agentclientprotocol/sdk', 'adapters/acp', 'adapters/process']));
    expect(acp.filter((name) => name.includes('opencode'))).toEqual([]);
    expect(opencode.filter((name) => name.includes('acp') || name.includes('agentclientprotocol'))).toEqual([]);
  });

  it('is no adapter and no SDK for the main entry', async () => {
    expect(await loadedBy('index.ts')).toEqual(['xstate']);
  });

  it('is no library for the entry of the stores, until a store in a file is opened', async () => {
    const { inputs } = await metafileOf('adapters/store/index.ts', { packages: 'external' });
    const imports = Object.values(inputs).flatMap((input) => input.imports.filter(({ external }) => external));
    const packages = imports.filter(({ path }) => !path.startsWith('node:'));
    expect(packages).toEqual([{ path: 'libsql/promise', kind: 'dynamic-import', external: true }]);
    expect(Object.keys(inputs).filter((path) => /machines|adapters\/(acp|opencode|process)/.test(path))).toEqual([]);
  });

  it('is the opencode adapter, and none of the charts, for the opencode entry', async () => {
    const loaded = await loadedBy('adapters/opencode/index.ts');
    expect(loaded).toEqual(
      expect.arrayContaining([
        'adapters/opencode',
        'adapters/process',
        '@opencode-ai/sdk',
        'execa',
        'eventsource-parser',
      ]),
    );
    expect(loaded).not.toContain('xstate');
  });
});
