import type { BackendSession } from '../../actors/ports.ts';
import { type JsonFields, list, present, record, text } from '../json.ts';

/** A list that does not end is cut. */
const MAX_PAGES = 50;

/** The sessions of a directory, page by page. `ask` asks the agent for one page. */
export async function sessionsOf(
  directory: string,
  ask: (request: { readonly cwd: string; readonly cursor?: string }) => Promise<JsonFields>,
): Promise<BackendSession[]> {
  const sessions: BackendSession[] = [];
  for (let cursor: string | undefined, page = 0; page < MAX_PAGES; page += 1) {
    const answer = await ask({ cwd: directory, ...present('cursor', cursor) });
    sessions.push(...list(answer['sessions']).map(record).map(listed));
    cursor = text(answer['nextCursor']);
    if (cursor === undefined) break;
  }
  return sessions.filter((session) => session.directory === directory);
}

const listed = (session: JsonFields): BackendSession => ({
  id: text(session['sessionId']) ?? '',
  ...present('title', text(session['title'])),
  ...present('directory', text(session['cwd'])),
  ...present('updatedAt', text(session['updatedAt'])),
});
