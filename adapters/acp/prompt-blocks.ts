import { pathToFileURL } from 'node:url';
import type { ContentBlock as AcpBlock } from '@agentclientprotocol/sdk';
import { SupervisorError } from '../../actors/errors.ts';
import type { ContentBlock } from '../../actors/ports.ts';
import { type JsonFields, record } from '../json.ts';

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
