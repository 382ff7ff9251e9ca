import type { ContentBlock } from '../contract/events.ts';
import type { PromptOptions } from '../contract/session.ts';
import { expectDuration, expectObject, expectSignal, expectString, invalidOption, optional } from '../validation.ts';

const KNOWN = ['signal', 'model', 'agent', 'mode', 'inactivityTimeoutMs', 'deadlineMs'] as const;

/** The blocks of a prompt. Throws `ERR_INVALID_OPTION` for an empty one, or for a block that is none. */
export function promptBlocks(input: unknown): readonly ContentBlock[] {
  if (typeof input === 'string') {
    if (input.trim() === '') throw invalidOption('prompt', 'some text', input);
    return [{ type: 'text', text: input }];
  }
  if (!Array.isArray(input) || input.length === 0)
    throw invalidOption('prompt', 'text or a list of content blocks', input);
  for (const [index, block] of input.entries()) expectBlock(`prompt[${index}]`, block);
  return (input as ContentBlock[]).map((block) => ({ ...block })); // What the host changes later is not what was checked.
}

/** Checks the options of a prompt. Throws `ERR_INVALID_OPTION`. */
export function expectPromptOptions(options: PromptOptions | undefined): PromptOptions {
  const given = expectObject('prompt options', options, KNOWN);
  for (const name of ['model', 'agent', 'mode'] as const) optional(given[name], (value) => expectString(name, value));
  for (const name of ['inactivityTimeoutMs', 'deadlineMs'] as const) {
    optional(given[name], (value) => expectDuration(name, value));
  }
  optional(given['signal'], (value) => expectSignal('signal', value));
  return options ?? {};
}

function expectUri(path: string, uri: string): void {
  if (!URL.canParse(uri)) throw invalidOption(path, 'a URI, such as file:///absolute/path', uri);
}

function expectBase64(path: string, data: string): void {
  if (data.length % 4 !== 0 || !/^[A-Za-z0-9+/]+={0,2}$/.test(data))
    throw invalidOption(path, 'base64', data.slice(0, 40));
}

function expectBlock(path: string, block: unknown): void {
  if (typeof block !== 'object' || block === null) throw invalidOption(path, 'a content block', block);
  const fields = block as Readonly<Record<string, unknown>>;
  switch (fields['type']) {
    case 'text':
      return void expectString(`${path}.text`, fields['text']);
    case 'image':
      expectString(`${path}.mimeType`, fields['mimeType']);
      return expectBase64(`${path}.data`, expectString(`${path}.data`, fields['data']));
    case 'file':
      if ((fields['path'] === undefined) === (fields['uri'] === undefined))
        throw invalidOption(path, 'either path or uri', block);
      if (fields['uri'] !== undefined) return expectUri(`${path}.uri`, expectString(`${path}.uri`, fields['uri']));
      return void expectString(`${path}.path`, fields['path']);
    default:
      throw invalidOption(`${path}.type`, 'text, image or file', fields['type']);
  }
}
