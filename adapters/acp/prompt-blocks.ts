import { isAbsolute } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { ContentBlock as AcpBlock } from '@agentclientprotocol/sdk';
import { SupervisorError } from '../../actors/errors.ts';
import type { ContentBlock } from '../../actors/ports.ts';
import { invalidOption } from '../../actors/validation.ts';
import { type JsonFields, record } from '../json.ts';

/** Throws `ERR_INVALID_OPTION` for a file that the agent could not find. */
export function checkBlocks(blocks: readonly ContentBlock[]): void {
  for (const block of blocks) {
    if (block.type !== 'file' || block.path === undefined || isAbsolute(block.path)) continue;
    throw invalidOption('prompt file', 'an absolute path or a uri', block.path);
  }
}

/** A prompt as agents take it. Files travel as links: the agent reads them with its own tools. */
export function promptBlocks(blocks: readonly ContentBlock[], capabilities: JsonFields): AcpBlock[] {
  return blocks.map((block) => {
    if (block.type === 'text') return { type: 'text', text: block.text };
    if (block.type === 'image') return imageBlock(block, capabilities);
    const uri = block.uri ?? pathToFileURL(block.path ?? '').href;
    const name = uri.slice(uri.lastIndexOf('/') + 1);
    return { type: 'resource_link', uri, name, ...(block.mimeType === undefined ? {} : { mimeType: block.mimeType }) };
  });
}

function imageBlock({ mimeType, data }: Extract<ContentBlock, { type: 'image' }>, capabilities: JsonFields): AcpBlock {
  if (record(capabilities['promptCapabilities'])['image'] !== true)
    throw new SupervisorError('ERR_UNSUPPORTED', 'The agent takes no images.');
  return { type: 'image', mimeType, data };
}
