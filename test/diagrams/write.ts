import { writeFileSync } from 'node:fs';
import { machinesReadme } from './machines-readme.ts';

writeFileSync(new URL('../../machines/README.md', import.meta.url), machinesReadme());
