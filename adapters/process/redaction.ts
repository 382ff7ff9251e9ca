const MASK = '[redacted]';

/** A value shorter than this is not searched for: it would mask ordinary words. */
const MIN_SECRET_LENGTH = 6;

/** A value under such a name is a secret. */
export const SECRET_NAME = /(api[-_]?key|token|secret|password|authorization|credential)/i;

/** Names under which a command that an agent runs finds nothing: of secrets, and of what may contain some. */
export const PRIVATE_NAME =
  /(key|token|secret|passw|credential|private|authorization|_pat$|_dsn$|database_url|config_content)/i;

/** `password=…`, `"apiKey": "…"`, `Authorization: Bearer …` and the like, whatever the value. */
const NAMED_SECRET =
  /((?:api[_-]?key|private[_-]?key|access[_-]?key|authorization|passw(?:or)?d|secret|credentials?|token)["']?\s*[=:]\s*["']?(?:basic |bearer )?)([^\s"',;&]+)/gi;

/** `//user:password@host`. */
const CREDENTIALS_IN_URL = /(\/\/)[^/\s:@]+:[^/\s@]+(?=@)/g;

/** Removes secrets from text: by value where they are known, by name where they are not. */
export class Redactor {
  readonly #secrets = new Set<string>();

  /** From now on the value is masked, also where it stands URL- or base64-encoded. */
  add(secret: string): void {
    if (secret.length < MIN_SECRET_LENGTH) return;
    this.#secrets.add(secret);
    this.#secrets.add(encodeURIComponent(Buffer.from(secret).toString())); // Without what has no encoding.
    this.#secrets.add(Buffer.from(secret).toString('base64').replace(/=+$/, ''));
  }

  redact(text: string): string {
    let redacted = text;
    for (const secret of this.#secrets) redacted = redacted.replaceAll(secret, MASK);
    return redacted.replace(CREDENTIALS_IN_URL, `$1${MASK}`).replace(NAMED_SECRET, `$1${MASK}`);
  }
}
