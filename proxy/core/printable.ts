/**
 * Text from elsewhere (callers, endpoints, registries, files), made safe for where it is shown: one function for each kind of output, and no output without one.
 *
 * Unsafe are the controls (line ends forge rows; ESC, and CSI as the one character 0x9b, steer the terminal), what turns the direction of the text around it
 * (bidi), and what is not seen at all. C0 and C1 come first, as the most frequent.
 */
const HIDDEN = '\\x7f-\\x9f\\xad\\u061c\\u180e\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\ufeff\\ufff9-\\ufffb'

const unsafe = new RegExp(`[\\x00-\\x1f${HIDDEN}]`)
const unsafeAll = new RegExp(unsafe, 'g')
const unsafeInLinesAll = new RegExp(`[\\x00-\\x09\\x0b-\\x1f${HIDDEN}]`, 'g')
const unsafeOrQuote = new RegExp(`[\\x00-\\x1f"\\\\${HIDDEN}]`)
const unsafeOrQuoteAll = new RegExp(unsafeOrQuote, 'g')
const hiddenAll = new RegExp(`[${HIDDEN}]`, 'g')
const markup = /[&<>"']/g

/** For terminals and logs: text on one line. */
export function printable(text: string): string {
  return unsafe.test(text) ? text.replace(unsafeAll, escaped) : text
}

/** For terminals: text of several lines that the proxy put together; its parts have been made `printable` each, or a line end in one forges a line. */
export function printableLines(text: string): string {
  return text.replace(unsafeInLinesAll, escaped)
}

/** As `printable`, and safe between double quotes: as nginx writes its access log. */
export function quotable(text: string): string {
  return unsafeOrQuote.test(text) ? text.replace(unsafeOrQuoteAll, escaped) : text
}

/** For JSON: the same value to a parser, and nothing in it that steers a terminal. `indent`: as for `JSON.stringify`. */
export function jsonText(value: unknown, indent?: number): string {
  return JSON.stringify(value, null, indent).replace(hiddenAll, character => `\\u${hex(character, 4).toLowerCase()}`)
}

/** For HTML, between tags and in quoted attributes; lines stay lines. */
export function escapeHtml(text: string): string {
  return printableLines(text).replace(markup, character => `&#${character.charCodeAt(0)};`)
}

function escaped(character: string): string {
  return character.charCodeAt(0) < 256 ? `\\x${hex(character, 2)}` : `\\u${hex(character, 4)}`
}

function hex(character: string, digits: number): string {
  return character.charCodeAt(0).toString(16).toUpperCase().padStart(digits, '0')
}
