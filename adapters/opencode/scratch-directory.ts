import { PrivateDirectory } from '../process/private-directory.ts';
import { probeDirectory } from './readiness.ts';
import { ask, clientFor, type ServerAddress } from './requests.ts';

/**
 * Whether the configuration that the server would read now works, tried in a directory that nobody uses. Rejects with
 * `ERR_CONFIG_INVALID` where it does not.
 */
export async function probeConfiguration(address: ServerAddress, signal: AbortSignal): Promise<void> {
  const scratch = new PrivateDirectory();
  const directory = scratch.path();
  try {
    await probeDirectory(address, directory, signal, 'Nothing was changed');
    const client = clientFor(address);
    await ask('POST /instance/dispose', signal, (options) => client.instance.dispose({ directory }, options));
  } finally {
    await scratch.remove();
  }
}
