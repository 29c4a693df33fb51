/** Longer than any list or configuration written by hand; programs write JSON. */
export const MAX_YAML_BYTES = 8 * 1024 * 1024
/** The depth to which `load.ts` follows values. */
export const MAX_DEPTH = 64
const MAX_TOKENS = 2_000_000
const MAX_ALIASES = 10_000

export interface OutOfBounds {
  readonly offset: number
  readonly message: string
}

/**
 * Which bound a YAML text exceeds, before it is parsed: the parser's time grows with the square of the depth, and a
 * deep text overflows its stack. `tokens`: those of the lexer, which needs no stack and time in proportion to the
 * length. Null: none.
 */
export function outOfBounds(tokens: Iterable<string>): OutOfBounds | null {
  const nesting = nestingOf()
  let offset = 0
  let count = 0
  let aliases = 0
  let isText = false
  for (const token of tokens) {
    if (++count > MAX_TOKENS)
      return { offset, message: `more than ${MAX_TOKENS} words and signs: split it into several files` }
    // The lexer puts a sign of its own, which is not in the file, before the text of a plain or block scalar.
    if (token === TEXT || token === DOCUMENT || token === FLOW_ERROR) {
      isText = token === TEXT
      if (token === FLOW_ERROR) nesting(token, false)
      continue
    }
    if (!isText && token.startsWith('*') && ++aliases > MAX_ALIASES)
      return { offset, message: `more than ${MAX_ALIASES} aliases (*name): write the values out` }
    if (nesting(token, isText) > MAX_DEPTH)
      return { offset, message: `nested deeper than ${MAX_DEPTH} levels: is a bracket left open again and again?` }
    isText = false
    offset += token.length
  }
  return null
}

const DOCUMENT = '\x02'
const FLOW_ERROR = '\x18'
const TEXT = '\x1f'

/** Counts levels: brackets, indentation, and lists that begin in a list on one line (`- - -`). */
function nestingOf(): (token: string, isText: boolean) => number {
  const indents: number[] = []
  let brackets = 0
  let onLine = 0
  let column = 0
  let isLineStart = true

  function newLine(): void {
    onLine = 0
    column = 0
    isLineStart = true
  }

  /** Inside brackets indentation means nothing. */
  function indent(): void {
    isLineStart = false
    if (brackets > 0) return
    while (indents.length > 0 && indents.at(-1)! >= column) indents.pop()
    indents.push(column)
  }

  return (token, isText) => {
    if (!isText && token === FLOW_ERROR) brackets = 0
    else if (!isText && (token === '\n' || token === '\r\n')) newLine()
    else if (!isText && /^[ \t]/.test(token)) column += token.length
    else if (isText || !token.startsWith('#')) {
      if (isLineStart) indent()
      if (isText) {
        // A block scalar includes its last line break.
        if (token.endsWith('\n')) newLine()
      } else if (token === '[' || token === '{') brackets++
      else if (token === ']' || token === '}') brackets = Math.max(0, brackets - 1)
      else if (brackets === 0 && (token === '-' || token === '?')) onLine++
    }
    return indents.length + brackets + onLine
  }
}
