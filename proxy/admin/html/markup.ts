import { escapeHtml, printable } from '../../core/printable.ts'

/** Safe HTML. Only `html` makes it, so no page can forget to escape. */
export class Markup {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

export type Part = Markup | string | number | null | false | readonly Part[]

/**
 * Literal parts are HTML. Values are one-line text and are escaped, except results of `html`. Null and false are
 * omitted.
 */
export function html(literals: TemplateStringsArray, ...parts: readonly Part[]): Markup {
  let text = literals[0]!
  for (const [index, part] of parts.entries()) text += textOf(part) + literals[index + 1]!
  return new Markup(text)
}

function textOf(part: Part): string {
  if (part === null || part === false) return ''
  if (part instanceof Markup) return part.text
  if (typeof part === 'string') return escapeHtml(printable(part))
  return typeof part === 'number' ? String(part) : part.map(textOf).join('')
}

/** Text of several lines made by the proxy, for a `pre`. */
export function lines(text: string): Markup {
  return new Markup(escapeHtml(text))
}

/** A sentence with code in backticks. */
export function prose(text: string): Markup {
  return html`${text.split('`').map((part, index) => (index % 2 === 0 ? part : html`<code>${part}</code>`))}`
}

/** A link to one of our pages: path and query parameters; null ones are omitted. */
export function href(path: string, query: Readonly<Record<string, string | null>> = {}): string {
  const given = Object.entries(query).filter((entry): entry is [string, string] => entry[1] !== null)
  return given.length === 0 ? path : `${path}?${new URLSearchParams(given)}`
}
