import { gooseAgent } from '../fixtures/agent-worlds.ts';
import { describeContract } from './contract.ts';

describeContract(gooseAgent);
