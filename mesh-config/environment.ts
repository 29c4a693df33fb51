import { own } from './own.ts'

export type Environment = Readonly<Record<string, string | undefined>>

export interface Substituted {
  readonly text: string
  /** Part of the text came from the environment, so it may be a secret. */
  readonly fromEnvironment: boolean
  readonly errors: readonly string[]
}

const reference = /\$\$\{|\$\{([^}]*)(\})?/g
const form = /^([A-Za-z_][A-Za-z0-9_]*)(?::-([\s\S]*))?$/

/** `${NAME}` and `${NAME:-value when unset or empty}`; `$${` stands for `${`. Nothing is substituted a second time. */
export function substitute(text: string, env: Environment): Substituted {
  if (!text.includes('${')) return { text, fromEnvironment: false, errors: [] }
  const errors: string[] = []
  let fromEnvironment = false
  const result = text.replace(reference, (all, inside: string | undefined, close: string | undefined) => {
    if (all === '$${') return '${'
    const match = close === undefined ? null : form.exec(inside ?? '')
    if (match === null) {
      errors.push(`${all} is not a variable: write \${NAME} or \${NAME:-value}, and $\${ for a plain \${`)
      return ''
    }
    const [, name, fallback] = match
    fromEnvironment = true
    const value = own(env, name!)
    if (value !== undefined && (value !== '' || fallback === undefined)) return value
    if (fallback !== undefined) return fallback
    errors.push(`\${${name}} is not set in the environment: set it, or write \${${name}:-value} for when it is not`)
    return ''
  })
  return { text: result, fromEnvironment, errors }
}

/** For documents that come over the network: their authors may not read the environment of this machine. */
export function refuseVariables(text: string): Substituted {
  const errors = [...text.matchAll(reference)].flatMap(([all]) =>
    all === '$${' ? [] : [`${all} would read the environment of the agent: write the value, and $\${ for a plain \${`],
  )
  return { text: text.replaceAll('$${', '${'), fromEnvironment: false, errors }
}

/**
 * A reference in a file. The characters in it that have a meaning in `{ }` and `[ ]`, and private-use characters that
 * replace them while YAML is parsed.
 */
const inFile = /\$\{[^{}\n"']*\}/g
const steering = '{}[],'
const FIRST_SHIELD = 0xe000

/**
 * The text with every reference made a plain YAML scalar, so that `{ port: ${PORT} }` needs no quotes. Positions do not
 * change.
 */
export function shield(text: string): string {
  if (!text.includes('${') || shields.test(text)) return text
  return text.replace(inFile, all =>
    all.replace(/[{}[\],]/g, character => String.fromCharCode(FIRST_SHIELD + steering.indexOf(character))),
  )
}

const shields = /[\ue000-\ue004]/
const everyShield = /[\ue000-\ue004]/g

/** Restores a value or key of a shielded text. */
export function unshield(text: string): string {
  return shields.test(text)
    ? text.replace(everyShield, character => steering[character.charCodeAt(0) - FIRST_SHIELD]!)
    : text
}

/** What YAML makes of an unquoted text: a value from the environment is read as if it stood in the file. */
export function resolvePlain(text: string): string | number | boolean | null {
  if (text === '' || text === '~' || text === 'null') return null
  if (text === 'true') return true
  if (text === 'false') return false
  return /^[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?$/.test(text) ? Number(text) : text
}
