import { opencodeAcpAgent } from '../fixtures/agent-worlds.ts';
import { describeContract } from './contract.ts';

describeContract(opencodeAcpAgent);
