import { isAbsolute } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { ContentBlock } from '../../actors/ports.ts';
import { invalidOption } from '../../actors/validation.ts';

/** A part of a prompt as opencode takes it. */
export type PromptPart =
  { type: 'text'; text: string } | { type: 'file'; mime: string; url: string; filename?: string };

/** The parts of a prompt. Images travel as data URLs, files as URLs that the server reads. */
export function promptParts(blocks: readonly ContentBlock[]): PromptPart[] {
  return blocks.map((block) => {
    if (block.type === 'text') return { type: 'text', text: block.text };
    if (block.type === 'image')
      return { type: 'file', mime: block.mimeType, url: `data:${block.mimeType};base64,${block.data}` };
    return filePart(block);
  });
}

function filePart({ path, uri, mimeType }: Extract<ContentBlock, { type: 'file' }>): PromptPart {
  const mime = mimeType ?? 'text/plain';
  if (uri !== undefined) return { type: 'file', mime, url: uri };
  if (path === undefined || !isAbsolute(path)) throw invalidOption('prompt file', 'an absolute path or a uri', path);
  const url = pathToFileURL(path).href;
  return { type: 'file', mime, url, filename: path.slice(path.lastIndexOf('/') + 1) };
}
