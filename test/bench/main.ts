import { benchUpdates } from './updates.ts';

const print = (line: string) => process.stdout.write(`${line}\n`);
await benchUpdates(200_000, 5, print);
