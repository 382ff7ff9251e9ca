import { gooseAgent, opencodeAcpAgent, qwenAgent } from '../fixtures/agent-worlds.ts';
import { benchUpdates } from './updates.ts';
import { benchWarm } from './warm.ts';

const UPDATES = 200_000;
const print = (line: string) => process.stdout.write(`${line}\n`);
const [what = 'all'] = process.argv.slice(2);

if (what !== 'updates') for (const agent of [gooseAgent, qwenAgent, opencodeAcpAgent]) await benchWarm(agent, 5, print);
if (what !== 'warm') await benchUpdates(UPDATES, 5, print);
