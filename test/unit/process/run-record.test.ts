import { describe, expect, it } from 'vitest';
import { parseRecord, readFileName, recordFileName, type RunRecord } from '../../../adapters/process/run-record.ts';

const run = '0a1b2c3d-1111-4222-8333-444455556666';
const other = 'ffffffff-1111-4222-8333-444455556666';
const record: RunRecord = {
  version: 1,
  run,
  owner: { pid: 1, startedAt: '10' },
  space: { machine: '', boot: 'b', namespace: 'pid:[1]' },
  children: [{ pid: 7, startedAt: '20' }],
  directories: ['/tmp/x'],
};
const parse = (changes: object) => parseRecord(JSON.stringify({ ...record, ...changes }), run);

describe('a record', () => {
  it('is read as it was written', () => {
    expect(parse({})).toEqual(record);
  });

  it.each([
    ['another version', { version: 2 }],
    ['another run', { run: other }],
    ['no owner', { owner: null }],
    ['an owner that is no process', { owner: { pid: '1', startedAt: '10' } }],
    ['a pid that is a group', { owner: { pid: -1, startedAt: '10' } }],
    ['a start that is no time', { owner: { pid: 1, startedAt: 'now' } }],
    ['no space', { space: undefined }],
    ['children that are no list', { children: { pid: 7 } }],
    ['children that are no processes', { children: [7] }],
    ['directories that are no text', { directories: [7] }],
  ])('with %s is none', (_, changes) => {
    expect(parse(changes)).toBeUndefined();
  });

  it.each(['', '{', 'null', '[]', '7', '\0\0'])('is not %j', (text) => {
    expect(parseRecord(text, run)).toBeUndefined();
  });
});

describe('the name of a file', () => {
  it('says what it is', () => {
    const files = [
      { kind: 'record', run },
      { kind: 'claim', run, byRun: other, by: { pid: 7, startedAt: '20' } },
      { kind: 'temporary', run },
    ] as const;
    expect(files.map((file) => readFileName(recordFileName(file)))).toEqual(files);
  });

  it.each(['x.json', `${run}.json.bak`, `../${run}.json`, run, `${run}.x.1.1.claim`, '.json', ''])(
    'is not %j',
    (name) => {
      expect(readFileName(name)).toBeUndefined();
    },
  );
});
