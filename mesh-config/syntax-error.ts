import { hidden, isSecretName } from './secret.ts'

/**
 * Explains YAML's syntax errors for the writer of the file. `code` and `message` are the parser's, `line` is the text
 * at the error.
 */
export function explainSyntaxError(code: string, message: string, line: string): string {
  return (
    habits(line, code) ??
    byMessage.find(([known]) => known.test(message))?.[1] ??
    byCode[code] ??
    `${message}: correct the YAML here`
  )
}

/** Frequent mistakes in such files, recognised by the line. */
function habits(line: string, code: string): string | null {
  if (code === 'TAB_AS_INDENT') return null
  if (/(?<!\$)[[{][^"']*\$\{/.test(line))
    return `a variable here is not closed, or has quotes in it: write \${NAME} or \${NAME:-value}; quotes go around the whole value`
  const ipv6 = /:\s+(\[[0-9a-fA-F:.]+\]:\d+)/.exec(line)
  if (ipv6 !== null) return `an IPv6 address begins with [ and needs quotes: write "${ipv6[1]}"`
  const noSpace = /^\s*(?:- )?([A-Za-z]+):(\S.*)$/.exec(line)
  if (noSpace !== null && code === 'MULTILINE_IMPLICIT_KEY')
    return `a space is missing after the colon: write ${noSpace[1]}: ${isSecretName(noSpace[1]!) ? hidden : noSpace[2]}`
  return null
}

const byMessage: readonly (readonly [RegExp, string])[] = [
  [/^Missing closing .*quote/, 'a quote that was opened before is not closed'],
  [
    /^Flow (map|sequence) in block collection/,
    'a [ or { that was opened before is not closed: close it, or indent this line further',
  ],
  [
    /^Sequence item without -/,
    'this is outside of the list above: begin the item with "- ", or line this up with the other keys of its item',
  ],
  [/^Missing , /, 'a comma is missing between two items of [ ] or { }, or a text in there needs quotes'],
]

const byCode: Readonly<Record<string, string>> = {
  TAB_AS_INDENT: 'a tab cannot indent YAML: use spaces',
  BAD_INDENT:
    'the indentation fits nothing above: line it up with the keys it belongs to (and close every [ and { before)',
  BLOCK_AS_IMPLICIT_KEY:
    'two "key: value" on one line: put the second on its own line, indented, or quote a text that contains ": "',
  MULTILINE_IMPLICIT_KEY: 'this is no "key: value": is a colon, or the space after it, missing?',
  MULTIPLE_DOCS: 'a second document (---) begins here: give each its own file, -c takes several',
  BAD_SCALAR_START: 'a text cannot begin with this character: put it in quotes',
  BAD_DQ_ESCAPE: 'an unknown \\ escape in double quotes: use single quotes, where \\ is an ordinary character',
  MISSING_CHAR: 'something is missing here: is a quote, ] or } not closed?',
  UNEXPECTED_TOKEN: 'this cannot follow what comes before it: is a quote, a comma or a line break missing?',
}

/** The line where version control left a conflict in the file; null: none. */
export function conflictLine(text: string): { readonly line: number; readonly message: string } | null {
  const lines = text.split('\n')
  const line = lines.findIndex(each => /^(<{7}|>{7})( |\r?$)/.test(each))
  if (line === -1) return null
  return {
    line: line + 1,
    message:
      'a merge conflict is left in the file: keep one side, and remove the lines that begin with <<<<<<<, ======= and >>>>>>>',
  }
}
