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
  /((?:api[_-]?key|authorization|auth[_-]?token|password|secret|(?:access|refresh|bearer)[_-]?token)["']?\s*[=:]\s*["']?(?:basic |bearer )?)([^\s"',;&]+)/gi;

/** Removes secrets from text: by value where they are known, by name where they are not. */
export class Redactor {
  readonly #secrets = new Set<string>();

  /** From now on the value is masked, also where it stands URL- or base64-encoded. */
  add(secret: string): void {
    if (secret.length < MIN_SECRET_LENGTH) return;
    this.#secrets.add(secret);
    this.#secrets.add(encodeURIComponent(secret));
    this.#secrets.add(Buffer.from(secret).toString('base64').replace(/=+$/, ''));
  }

  redact(text: string): string {
    let redacted = text;
    for (const secret of this.#secrets) redacted = redacted.replaceAll(secret, MASK);
    return redacted.replace(NAMED_SECRET, `$1${MASK}`);
  }
}
