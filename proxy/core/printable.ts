/**
 * Escapes text from callers, endpoints, registries and files: one function for each kind of output. Every output uses
 * one of them.
 *
 * Unsafe are control characters (a line end forges a row; ESC, or CSI as the single character 0x9b, steers a
 * terminal), characters that change the direction of text (bidi), and invisible ones.
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

/** For terminals: a text of several lines. Use `printable` on each part first, because this keeps every line end. */
export function printableLines(text: string): string {
  return text.replace(unsafeInLinesAll, escaped)
}

/** As `printable`, and safe between double quotes: as nginx writes its access log. */
export function quotable(text: string): string {
  return unsafeOrQuote.test(text) ? text.replace(unsafeOrQuoteAll, escaped) : text
}

/**
 * For JSON: as `JSON.stringify`, with the unsafe characters that it leaves raw as escapes. A parser reads the same
 * value.
 */
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
