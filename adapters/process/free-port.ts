import { createServer } from 'node:net';

/** A port that is free now on the host address. Another program may still take it before it is used. */
export function freePort(hostname: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, hostname, () => {
      const address = server.address();
      server.close(() => {
        if (address === null || typeof address === 'string') reject(new Error('No port was assigned.'));
        else resolve(address.port);
      });
    });
  });
}
