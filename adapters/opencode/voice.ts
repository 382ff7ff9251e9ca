import type { VoiceChoice } from '../../actors/ports.ts';
import { invalidOption } from '../../actors/validation.ts';
import { list, record, text } from '../json.ts';
import { ask, type OpencodeClient } from './requests.ts';

/** `provider/model` as opencode takes it. */
export function modelOf(model: string): { providerID: string; modelID: string } {
  const slash = model.indexOf('/');
  if (slash <= 0 || slash === model.length - 1) throw invalidOption('model', '"provider/model"', model);
  return { providerID: model.slice(0, slash), modelID: model.slice(slash + 1) };
}

/** [opencode] A mode is a primary agent, under its older name. */
export function agentOf({ agent, mode }: VoiceChoice): string | undefined {
  if (agent !== undefined && mode !== undefined && agent !== mode) {
    throw invalidOption('mode', `the agent "${agent}", since opencode's modes are its agents`, mode);
  }
  return agent ?? mode;
}

/** Throws `ERR_INVALID_OPTION` for what cannot be right, whatever the server has. */
export function checkVoice(choice: VoiceChoice): void {
  if (choice.model !== undefined) modelOf(choice.model);
  agentOf(choice);
}

/** How many names an error message offers. */
const MAX_OFFERED = 20;

/** Throws `ERR_INVALID_OPTION` for a model, an agent or a mode that the directory does not have. */
export async function expectVoice(
  client: OpencodeClient,
  directory: string,
  choice: VoiceChoice,
  signal: AbortSignal,
): Promise<void> {
  const agent = agentOf(choice);
  const name = choice.agent === undefined ? 'mode' : 'agent';
  if (agent !== undefined) await expectAgent(client, directory, { name, agent }, signal);
  if (choice.model !== undefined) await expectModel(client, directory, choice.model, signal);
}

/** A prompt to an agent that does not exist would be accepted by the server and never answered. */
async function expectAgent(
  client: OpencodeClient,
  directory: string,
  { name, agent }: { readonly name: string; readonly agent: string },
  signal: AbortSignal,
): Promise<void> {
  const answer = await ask('GET /agent', signal, (options) => client.app.agents({ directory }, options));
  const agents = list(answer).map(record);
  if (agents.some((known) => known['name'] === agent)) return;
  const offered = agents.filter((known) => known['hidden'] !== true).map((known) => text(known['name']) ?? '');
  throw invalidOption(name, `one of ${offer(offered)}`, agent);
}

async function expectModel(
  client: OpencodeClient,
  directory: string,
  model: string,
  signal: AbortSignal,
): Promise<void> {
  const { providerID, modelID } = modelOf(model);
  const answer = await ask('GET /config/providers', signal, (options) =>
    client.config.providers({ directory }, options),
  );
  const providers = list(record(answer)['providers']).map(record);
  const provider = providers.find((known) => known['id'] === providerID);
  if (!provider) {
    const known = offer(providers.map(({ id }) => text(id) ?? ''));
    throw invalidOption('model', `a model of a configured provider (${known})`, model);
  }
  const models = record(provider['models']);
  if (!Object.hasOwn(models, modelID))
    throw invalidOption('model', `a model of ${providerID}: ${offer(Object.keys(models))}`, model);
}

function offer(names: readonly string[]): string {
  const more = names.length > MAX_OFFERED ? ` and ${names.length - MAX_OFFERED} more` : '';
  return names.slice(0, MAX_OFFERED).join(', ') + more;
}
