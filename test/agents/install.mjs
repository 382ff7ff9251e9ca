// Installs the real agents that the tests run, where they are not there yet.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const folder = dirname(fileURLToPath(import.meta.url));
const { dependencies, optionalDependencies } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));

const isInstalled = ([name, version]) => {
  const path = join(folder, 'node_modules', name, 'package.json');
  return existsSync(path) && JSON.parse(readFileSync(path, 'utf8')).version === version;
};

if (
  !Object.entries(dependencies).every(isInstalled) ||
  !existsSync(join(folder, 'node_modules', '.package-lock.json'))
) {
  process.stdout.write('Installing the agents that the tests run …\n');
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
  execFileSync(npm, ['ci', '--no-audit', '--no-fund'], { cwd: folder, stdio: 'inherit' });
}
for (const missing of Object.entries(optionalDependencies).filter((entry) => !isInstalled(entry))) {
  process.stderr.write(`There is no ${missing[0]} for this platform: its tests are SKIPPED.\n`);
}
