import type { ContentBlock } from '../contract/events.ts';
import type { PromptOptions } from '../contract/session.ts';
import { expectDuration, expectObject, expectString, invalidOption, optional } from '../validation.ts';

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
  return input as ContentBlock[];
}

/** Checks the options of a prompt. Throws `ERR_INVALID_OPTION`. */
export function expectPromptOptions(options: PromptOptions | undefined): PromptOptions {
  const given = expectObject('prompt options', options, KNOWN);
  for (const name of ['model', 'agent', 'mode'] as const) optional(given[name], (value) => expectString(name, value));
  for (const name of ['inactivityTimeoutMs', 'deadlineMs'] as const) {
    optional(given[name], (value) => expectDuration(name, value));
  }
  if (given['signal'] !== undefined && !(given['signal'] instanceof AbortSignal)) {
    throw invalidOption('signal', 'an AbortSignal', given['signal']);
  }
  return options ?? {};
}

function expectBlock(path: string, block: unknown): void {
  if (typeof block !== 'object' || block === null) throw invalidOption(path, 'a content block', block);
  const fields = block as Readonly<Record<string, unknown>>;
  switch (fields['type']) {
    case 'text':
      return void expectString(`${path}.text`, fields['text']);
    case 'image':
      expectString(`${path}.mimeType`, fields['mimeType']);
      return void expectString(`${path}.data`, fields['data']);
    case 'file':
      if ((fields['path'] === undefined) === (fields['uri'] === undefined))
        throw invalidOption(path, 'either path or uri', block);
      return void expectString(`${path}.path`, fields['path'] ?? fields['uri']);
    default:
      throw invalidOption(`${path}.type`, 'text, image or file', fields['type']);
  }
}
