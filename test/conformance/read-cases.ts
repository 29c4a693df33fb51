import { readdirSync, readFileSync } from 'node:fs'

/** One example of a conformance file: a title, prose for people, the bytes, and what must come of them. */
export interface ConformanceCase {
  readonly file: string
  readonly title: string
  readonly kind: 'request' | 'response'
  /** Of the request that is answered. */
  readonly method: string
  readonly limits: Readonly<Record<string, number>>
  readonly bytes: Buffer
  /** The sender closes after the bytes. */
  readonly end: boolean
  readonly events: readonly string[]
}

const FENCE = /^```(\w+) ?(.*)\n([\s\S]*?)^```$/gm

/** All cases beside this file. */
export function readCases(): ConformanceCase[] {
  return readdirSync(import.meta.dirname)
    .filter(name => name.endsWith('.md') && name !== 'README.md')
    .flatMap(file => casesOf(file, readFileSync(`${import.meta.dirname}/${file}`, 'utf8')))
}

function casesOf(file: string, text: string): ConformanceCase[] {
  return text
    .split(/^### /m)
    .slice(1)
    .map(section => {
      const title = section.slice(0, section.indexOf('\n')).trim()
      const blocks = [...section.matchAll(FENCE)]
      const [message, events] = blocks
      const kind = message?.[1]
      if (blocks.length !== 2 || events?.[1] !== 'events' || (kind !== 'request' && kind !== 'response'))
        throw new Error(`${file}: "${title}" needs a block "request" or "response", then one "events"`)
      const words = message![2]!.split(' ').filter(word => word !== '')
      const source = message![3]!
      const end = /^<end>\n/m.test(source)
      return {
        file,
        title,
        kind,
        method: words.find(word => !word.includes('=')) ?? 'GET',
        limits: Object.fromEntries(
          words
            .filter(word => word.includes('='))
            .map(word => word.split('='))
            .map(([name, value]) => [name!, Number(value)]),
        ),
        bytes: bytesOf(source.replace(/^<end>\n/m, ''), `${file}: "${title}"`),
        end,
        events: events[3]!.split('\n').slice(0, -1).map(expand),
      }
    })
}

/**
 * Line ends of the block mean nothing; the bytes are as written, with `\r \n \t \0 \xHH \\` and `<70000 * a>` for
 * repetition.
 */
function bytesOf(source: string, where: string): Buffer {
  const text = expand(source.replace(/\n/g, ''))
  const bytes = text.replace(
    /\\(?:x([0-9a-f]{2})|(.))/gi,
    (whole, hex: string | undefined, letter: string | undefined) => {
      if (hex !== undefined) return String.fromCharCode(Number.parseInt(hex, 16))
      const plain = { r: '\r', n: '\n', t: '\t', '0': '\0', '\\': '\\' }[letter!]
      if (plain === undefined) throw new Error(`${where}: what is ${whole}?`)
      return plain
    },
  )
  return Buffer.from(bytes, 'latin1')
}

function expand(text: string): string {
  return text.replace(/<(\d+) \* ([^>]+)>/g, (_whole, count: string, what: string) => what.repeat(Number(count)))
}
