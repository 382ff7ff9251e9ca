import { scriptedAgent } from '../fixtures/agent-worlds.ts';
import { describeContract } from './contract.ts';

describeContract(scriptedAgent);
