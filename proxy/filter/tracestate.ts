/** The `tracestate` field (W3C Trace Context, level 1, section 3.3), as far as whoever passes it on has to look. */

const MOST_MEMBERS = 32
const LONGEST = 8192
const KEY = /^(?:[a-z0-9][a-z0-9_*/-]{0,255}|[a-z0-9][a-z0-9_*/-]{0,240}@[a-z][a-z0-9_*/-]{0,13})$/
const VALUE = /^[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]$/

/** What is not valid is not passed on: the next one would have to throw it away. Several fields are one, with commas. */
export function isTracestate(value: string): boolean {
  if (value.length > LONGEST) return false
  const keys = new Set<string>()
  for (const member of value.split(',')) {
    const text = member.trim()
    if (text === '') continue
    const equals = text.indexOf('=')
    const key = text.slice(0, Math.max(0, equals))
    if (!KEY.test(key) || !VALUE.test(text.slice(equals + 1)) || keys.has(key)) return false
    keys.add(key)
    if (keys.size > MOST_MEMBERS) return false
  }
  return keys.size > 0
}
