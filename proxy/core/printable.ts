/** What must not reach a log or a terminal as it is: line ends forge lines, escapes (ESC, and CSI as the one character 0x9b) steer the terminal. */
const unsafe = /[\x00-\x1f\x7f-\x9f\u2028\u2029]/
const unsafeAll = /[\x00-\x1f\x7f-\x9f\u2028\u2029]/g
const unsafeOrQuote = /[\x00-\x1f"\\\x7f-\x9f\u2028\u2029]/
const unsafeOrQuoteAll = /[\x00-\x1f"\\\x7f-\x9f\u2028\u2029]/g

/** Text from elsewhere, on one line. */
export function printable(text: string): string {
  return unsafe.test(text) ? text.replace(unsafeAll, escaped) : text
}

/** As `printable`, and safe between double quotes: as nginx writes its access log. */
export function quotable(text: string): string {
  return unsafeOrQuote.test(text) ? text.replace(unsafeOrQuoteAll, escaped) : text
}

function escaped(character: string): string {
  const code = character.charCodeAt(0)
  return code < 256 ? `\\x${code.toString(16).toUpperCase().padStart(2, '0')}` : `\\u${code.toString(16).toUpperCase().padStart(4, '0')}`
}
