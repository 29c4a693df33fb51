/** Shown in place of a secret. */
export const hidden = '(not shown: a secret)'

/** True for usual names of secrets, in variables, header fields and query parameters. */
export function isSecretName(name: string): boolean {
  return /token|secret|passw|credential|private|api[-_]?key|auth(?!ority)|cookie/i.test(name)
}

/** The value that a route matches a header or query parameter against, or sets it to, may be an API key. */
export function isSecretField(path: readonly (string | number)[]): boolean {
  const from = path.findIndex(step => step === 'headers' || step === 'query')
  return from >= 0 && path.slice(from + 1).some(step => isSecretName(String(step)))
}

/**
 * Removes user names and passwords from the URLs in a text. An unencoded password may contain any character but
 * spaces and quotes, so everything up to the last `@` is removed.
 */
export function withoutUserinfo(text: string): string {
  return text.includes('@') ? text.replace(/(?<=:\/\/)[^\s"'<>]*@/g, '(not shown)@') : text
}

/** Removes the fallback from references such as `${TOKEN:-fallback}` where the variable is a secret. */
export function referenceWithoutSecret(written: string, isSecret = false): string {
  return withoutUserinfo(
    written.replace(/\$\{(\w+):-[^}]*\}/g, (all, name: string) =>
      isSecret || isSecretName(name) ? `\${${name}}` : all,
    ),
  )
}
