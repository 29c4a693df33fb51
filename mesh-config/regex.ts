/** Regular expressions of RE2, which run in linear time: others are refused, so that none can stall the proxy. */

/** Null: valid. Else what is wrong and what to write. The engine (6 ms to load) is loaded with the first expression. */
export async function explainRegex(pattern: string): Promise<string | null> {
  const { RE2JS } = await import('re2js')
  try {
    RE2JS.compile(pattern)
    return null
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    const [, what, construct] = /^error parsing regexp: (.*?)(?:: `([\s\S]*)`)?$/.exec(message) ?? [
      null,
      message,
      undefined,
    ]
    const at = construct === undefined ? -1 : pattern.indexOf(construct)
    const place = at < 0 || construct === pattern ? '' : ` (at character ${at + 1} of the expression)`
    return `${remedy(construct ?? '') ?? `${what}${construct === undefined ? '' : ` in "${construct}"`}: correct the expression (RE2 syntax)`}${place}`
  }
}

/** A valid expression, as a function that looks for it anywhere in a text. */
export async function compileRegex(pattern: string): Promise<(text: string) => boolean> {
  const { RE2JS } = await import('re2js')
  const compiled = RE2JS.compile(pattern)
  return text => compiled.matcher(text).find()
}

function remedy(construct: string): string | null {
  if (/^\(\?<?!/.test(construct))
    return 'RE2 has no negative lookaround, which can take exponential time: put a route for the exception before this one'
  if (/^\(\?<?=/.test(construct))
    return 'RE2 has no lookaround, which can take exponential time: match the text itself, or add a second predicate'
  if (/^\\([1-9]|k)/.test(construct))
    return 'RE2 has no backreferences, which can take exponential time: write the alternatives out, such as (a-a|b-b)'
  if (/^\(\?>/.test(construct) || /^[*+?}].*\+$/.test(construct))
    return 'RE2 knows no atomic groups and possessive quantifiers, and needs none: leave the ?> or the extra + out'
  return null
}
