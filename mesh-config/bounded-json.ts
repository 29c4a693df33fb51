/** As in YAML. */
const MAX_DEPTH = 64
/** Ten thousand instances of Consul are about a million values. */
const MAX_VALUES = 4_000_000

/**
 * JSON from outside. Throws an Error with a message for people, also when the text is nested so deep, or has so many
 * values, that the result would fill the memory: some megabytes of `[` become gigabytes of arrays.
 */
export function parseJson(text: string): unknown {
  const trouble = outOfBounds(text)
  if (trouble !== '') throw new Error(trouble)
  try {
    return JSON.parse(text)
  } catch {
    throw new Error('it is no JSON')
  }
}

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COMMA = 0x2c

/** Reads each character once, in less time than the parser. Empty: no bound is exceeded. */
function outOfBounds(text: string): string {
  let depth = 0
  let values = 0
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code === QUOTE) i = endOfString(text, i)
    else if (code === COMMA) values++
    // [ ] { } are pairs that differ in one bit: 5b 5d, 7b 7d.
    else if ((code | 0x20) === 0x7b) {
      values++
      if (++depth > MAX_DEPTH) return `it is nested deeper than ${MAX_DEPTH} levels`
    } else if ((code | 0x20) === 0x7d) depth--
    if (values > MAX_VALUES) return `it has more than ${MAX_VALUES} values`
  }
  return ''
}

/** Where the string that begins at `start` ends. */
function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end >= 0; end = text.indexOf('"', end + 1)) {
    let backslashes = 0
    while (text.charCodeAt(end - 1 - backslashes) === BACKSLASH) backslashes++
    if (backslashes % 2 === 0) return end
  }
  return text.length
}
