import type { OpencodeLease } from '../../adapters/opencode/index.ts';
import { opencode } from '../../adapters/opencode/index.ts';
import { type BackendDefinition, type BackendHandle, createSupervisor, type Session } from '../../index.ts';

/** Checked by the compiler, never run: what a host gets inferred, and what it is not allowed to write. */
export async function inference(custom: BackendDefinition<{ token: string }>): Promise<void> {
  const supervisor = createSupervisor({ backends: { code: opencode(), other: custom } });

  const lease: OpencodeLease = await supervisor.backend('code').acquire();
  const baseUrl: string = lease.baseUrl;
  const { token }: { token: string } = await supervisor.backend('other').acquire();
  const handle: BackendHandle<OpencodeLease> = supervisor.backend('code');
  const session: Session = await supervisor.openSession({ backend: 'other', directory: '/project' });

  // @ts-expect-error -- there is no such backend
  supervisor.backend('nope');
  // @ts-expect-error -- there is no such backend
  await supervisor.openSession({ backend: 'nope', directory: '/project' });
  // @ts-expect-error -- this lease is of another backend
  const wrong: OpencodeLease = await supervisor.backend('other').acquire();
  // @ts-expect-error -- there is no such option
  opencode({ commands: 'opencode' });
  // @ts-expect-error -- there is no such event
  supervisor.on('explosion', () => undefined);

  supervisor.on('transition', ({ from, to, reason, at }) => void [from, to, reason, at]);
  for await (const event of session.prompt('hi')) {
    if (event.type === 'text') event.text.toUpperCase();
    // @ts-expect-error -- only text has a text
    if (event.type === 'usage') void event.text;
  }
  void [baseUrl, token, handle, wrong];
}
