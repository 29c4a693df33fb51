/** What is shown in the place of a secret. */
export const hidden = '(not shown: a secret)'

/** A name that people give to secrets: of variables, header fields, query parameters. */
export function isSecretName(name: string): boolean {
  return /token|secret|passw|credential|private|api[-_]?key|auth(?!ority)|cookie/i.test(name)
}

/**
 * Text without the user names and passwords of the URLs in it. A password that was not encoded may contain anything but spaces and quotes, so rather more is hidden
 * than too little.
 */
export function withoutUserinfo(text: string): string {
  return text.includes('@') ? text.replace(/(?<=:\/\/)[^\s"'<>]*@/g, '(not shown)@') : text
}

/** A reference to a variable (`${TOKEN:-fallback}`) as it may be shown: without the fallback, where the name is that of a secret. */
export function referenceWithoutSecret(written: string, isSecret = false): string {
  return withoutUserinfo(written.replace(/\$\{(\w+):-[^}]*\}/g, (all, name: string) => (isSecret || isSecretName(name) ? `\${${name}}` : all)))
}
