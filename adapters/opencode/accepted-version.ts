import { coerce, lt, satisfies } from 'semver';
import { SupervisorError } from '../../actors/errors.ts';

/** Older servers let every page that a user visits run commands: CVE-2026-22812. */
const SAFE_SINCE = '1.0.216';

export interface VersionRules {
  /** An exact version or a range. */
  readonly version?: string;
  readonly allowVulnerable: boolean;
}

/** Throws `ERR_VERSION_MISMATCH` for a version that the host did not ask for, or that nobody should run. */
export function expectVersion(told: string, { version: range, allowVulnerable }: VersionRules, who: string): void {
  const version = told.trim().replace(/^v/, '');
  if (range !== undefined && !satisfies(version, range, { includePrerelease: true })) {
    const advice = `expected ${range}. Install that version, or change the \`version\` option.`;
    throw new SupervisorError('ERR_VERSION_MISMATCH', `${who} is version ${version || 'unknown'}; ${advice}`);
  }
  if (allowVulnerable || !isVulnerable(version)) return;
  const advice = `Versions before ${SAFE_SINCE} run commands for whoever asks (CVE-2026-22812). Update it, or set \`allowVulnerable: true\`.`;
  throw new SupervisorError('ERR_VERSION_MISMATCH', `${who} is version ${version || 'unknown'}. ${advice}`, {
    reason: 'vulnerable',
  });
}

/** Builds from source say 0.0.0, or `local`. One that says nothing at all is older than the answer. */
function isVulnerable(version: string): boolean {
  if (version === '') return true;
  const known = coerce(version);
  return known !== null && !version.startsWith('0.0.0') && lt(known, SAFE_SINCE);
}
