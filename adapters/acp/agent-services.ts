import { type client, methods, RequestError } from '@agentclientprotocol/sdk';
import { messageOf } from '../../actors/errors.ts';
import { record, text } from '../json.ts';
import { isForm } from './elicitation.ts';
import { INVALID_PARAMS } from './failures.ts';
import { CANCELLED } from './permission.ts';
import type { AcpSession } from './session.ts';

type ClientApp = ReturnType<typeof client>;

/** Who is served, and with what. */
export interface ServiceOptions {
  readonly hasFiles: boolean;
  readonly hasTerminals: boolean;
  readonly session: (sessionId: string) => AcpSession | undefined;
}

/** What an agent may ask of its client: a person's decisions, the files of its worktree, and commands. */
export function serveAgent(app: ClientApp, options: ServiceOptions): void {
  serveDecisions(app, options);
  if (options.hasFiles) serveFiles(app, options);
  if (options.hasTerminals) serveTerminals(app, options);
}

function serveDecisions(app: ClientApp, { session }: ServiceOptions): void {
  app.onRequest(
    methods.client.session.requestPermission,
    async ({ params }) => (await session(params.sessionId)?.askPermission(record(params))) ?? CANCELLED,
  );
  app.onRequest(methods.client.elicitation.create, async ({ params }) => {
    const asked = record(params);
    const asking = isForm(asked) ? session(text(asked['sessionId']) ?? '') : undefined;
    return (await asking?.askQuestion(asked)) ?? { action: 'decline' };
  });
}

function serveFiles(app: ClientApp, options: ServiceOptions): void {
  const { fs } = methods.client;
  app.onRequest(fs.readTextFile, async ({ params: { sessionId, path, line, limit } }) => ({
    content: await serve(options, sessionId, ({ files }) => files.read(path, { line, limit })),
  }));
  app.onRequest(fs.writeTextFile, async ({ params: { sessionId, path, content } }) => {
    await serve(options, sessionId, ({ files }) => files.write(path, content));
    return {};
  });
}

function serveTerminals(app: ClientApp, options: ServiceOptions): void {
  const { terminal } = methods.client;
  app.onRequest(terminal.create, async ({ params }) => ({
    terminalId: await serve(options, params.sessionId, ({ terminals }) => terminals.create(record(params))),
  }));
  app.onRequest(terminal.output, ({ params: { sessionId, terminalId } }) =>
    serve(options, sessionId, ({ terminals }) => terminals.output(terminalId)),
  );
  app.onRequest(terminal.waitForExit, ({ params: { sessionId, terminalId } }) =>
    serve(options, sessionId, ({ terminals }) => terminals.waitForExit(terminalId)),
  );
  app.onRequest(terminal.kill, async ({ params: { sessionId, terminalId } }) => {
    await serve(options, sessionId, ({ terminals }) => terminals.kill(terminalId));
    return {};
  });
  app.onRequest(terminal.release, async ({ params: { sessionId, terminalId } }) => {
    await serve(options, sessionId, ({ terminals }) => terminals.release(terminalId));
    return {};
  });
}

/** What is refused is the agent's to hear, as a wrong parameter of its own. */
async function serve<T>(
  options: ServiceOptions,
  sessionId: string,
  work: (session: AcpSession) => T | Promise<T>,
): Promise<T> {
  const session = options.session(sessionId);
  if (!session) throw new RequestError(INVALID_PARAMS, `There is no session ${sessionId}.`);
  try {
    return await work(session);
  } catch (error) {
    throw new RequestError(INVALID_PARAMS, messageOf(error));
  }
}
