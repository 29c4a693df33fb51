/** Control characters, characters that change the direction of text, and invisible ones: as proxy/core/printable.ts. */
const HIDDEN = '\\x7f-\\x9f\\xad\\u061c\\u180e\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\ufeff\\ufff9-\\ufffb'
const unsafe = new RegExp(`[\\x00-\\x1f${HIDDEN}]`, 'g')
const hidden = new RegExp(`[${HIDDEN}]`, 'g')

/** For terminals and logs: text from documents, proxies and registries on one line. */
export function printable(text: string): string {
  return text.replace(unsafe, character => {
    const code = character.charCodeAt(0)
    return code < 256 ? `\\x${hex(code, 2)}` : `\\u${hex(code, 4)}`
  })
}

/** As `JSON.stringify`, with the unsafe characters that it leaves raw as escapes. */
export function jsonText(value: unknown): string {
  return JSON.stringify(value).replace(hidden, character => `\\u${hex(character.charCodeAt(0), 4).toLowerCase()}`)
}

function hex(code: number, digits: number): string {
  return code.toString(16).toUpperCase().padStart(digits, '0')
}
