/** Shown in place of a secret. */
export const hidden = '(not shown: a secret)'

/** True for usual names of secrets, in variables, header fields and query parameters. */
export function isSecretName(name: string): boolean {
  return /token|secret|passw|credential|private|api[-_]?key|auth(?!ority)|cookie/i.test(name)
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
