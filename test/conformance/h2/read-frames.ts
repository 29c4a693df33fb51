import { readdirSync, readFileSync } from 'node:fs'
import * as h2 from '../../../proxy/codec/h2/frame.ts'
import { PREFACE } from '../../../proxy/codec/h2/preface.ts'
import { frame, goaway, hello, literals, settings, typeNames, uint32 } from '../../codec/h2/support/frames.ts'

/** One example: a title, prose for people, frames, and what must come of them. */
export interface FrameCase {
  readonly file: string
  readonly title: string
  readonly kind: 'caller' | 'endpoint'
  /** Of the requests that are answered, and how many. */
  readonly method: string
  readonly count: number
  readonly limits: Readonly<Record<string, number>>
  readonly bytes: Buffer
  readonly end: boolean
  readonly events: readonly string[]
}

const FENCE = /^```(\w+) ?(.*)\n([\s\S]*?)^```$/gm

export function readFrameCases(): FrameCase[] {
  return readdirSync(import.meta.dirname)
    .filter(name => name.endsWith('.md') && name !== 'README.md')
    .flatMap(file =>
      readFileSync(`${import.meta.dirname}/${file}`, 'utf8')
        .split(/^### /m)
        .slice(1)
        .map(section => caseOf(file, section)),
    )
}

function caseOf(file: string, section: string): FrameCase {
  const title = section.slice(0, section.indexOf('\n')).trim()
  const [message, events, ...more] = [...section.matchAll(FENCE)]
  const kind = message?.[1]
  if (more.length !== 0 || events?.[1] !== 'events' || (kind !== 'caller' && kind !== 'endpoint'))
    throw new Error(`${file}: "${title}" needs a block "caller" or "endpoint", then one "events"`)
  const words = message![2]!.split(' ').filter(word => word !== '')
  const lines = message![3]!.split('\n').slice(0, -1)
  const isRaw = lines[0] === 'no preface'
  const source = lines.filter(line => line !== '<end>' && line !== 'no preface')
  const opening = kind === 'caller' ? hello : Buffer.concat([settings(), frame(h2.SETTINGS, h2.ACK, 0)])
  return {
    file,
    title,
    kind,
    method: words.find(word => /^[A-Z]+$/.test(word)) ?? 'GET',
    count: Number(words.find(word => /^\d+$/.test(word)) ?? 1),
    limits: Object.fromEntries(
      words.filter(word => word.includes('=')).map(word => [word.split('=')[0]!, Number(word.split('=')[1])]),
    ),
    bytes: Buffer.concat([...(isRaw ? [] : [opening]), ...framesOf(source, `${file}: "${title}"`)]),
    end: lines.includes('<end>'),
    events: events[3]!.split('\n').slice(0, -1).map(expand),
  }
}

/** A line a frame; indented lines below HEADERS and CONTINUATION are their fields. */
function framesOf(lines: readonly string[], where: string): Buffer[] {
  const frames: Buffer[] = []
  for (let i = 0; i < lines.length; i++) {
    const fields: Buffer[] = []
    const line = lines[i]!
    while (lines[i + 1]?.startsWith('  ')) fields.push(fieldOf(lines[++i]!.slice(2), where))
    const count = /^(\d+) times (.*)$/.exec(line)
    const bytes = frameOf(expand(count?.[2] ?? line), Buffer.concat(fields), where)
    for (let n = 0; n < Number(count?.[1] ?? 1); n++) frames.push(bytes)
  }
  return frames
}

/** `name: value`, or bytes of a block as they are: `hex 82 86`. */
function fieldOf(text: string, where: string): Buffer {
  if (text.startsWith('hex ')) return Buffer.from(text.slice(4).replace(/ /g, ''), 'hex')
  const at = text.indexOf(':', 1)
  if (at < 0) throw new Error(`${where}: what is "${text}"?`)
  return literals(unescaped(expand(text.slice(0, at))), unescaped(expand(text.slice(at + 1).replace(/^ /, ''))))
}

function unescaped(text: string): string {
  return text.replace(
    /\\(?:x([0-9a-f]{2})|([rnt0s]))/gi,
    (_all, hex: string | undefined, letter: string | undefined) =>
      hex === undefined
        ? { r: '\r', n: '\n', t: '\t', '0': '\0', s: ' ' }[letter!]!
        : String.fromCharCode(Number.parseInt(hex, 16)),
  )
}

const flagBits: Readonly<Record<string, number>> = {
  END_STREAM: h2.END_STREAM,
  ACK: h2.ACK,
  END_HEADERS: h2.END_HEADERS,
  PADDED: h2.PADDED,
  PRIORITY: h2.WITH_PRIORITY,
}

function frameOf(line: string, block: Buffer, where: string): Buffer {
  if (line === 'preface') return PREFACE
  if (line.startsWith('hex ')) return Buffer.from(line.slice(4).replace(/ /g, ''), 'hex')
  if (line.startsWith('text ')) return Buffer.from(unescaped(line.slice(5)), 'latin1')
  const text = /"(.*)"$/.exec(line)
  const words = line
    .slice(0, text?.index ?? line.length)
    .trim()
    .split(' ')
  const [name, ...rest] = words
  const type = typeNames.indexOf(name!) >= 0 ? typeNames.indexOf(name!) : Number(name)
  if (Number.isNaN(type)) throw new Error(`${where}: what is "${line}"?`)
  const values = Object.fromEntries(
    rest.filter(word => word.includes('=')).map(word => word.split('=') as [string, string]),
  )
  const numbers = rest.filter(word => /^\d+$/.test(word)).map(Number)
  let flags = rest.reduce((bits, word) => bits | (flagBits[word] ?? 0), 0)
  const id = numbers[0] ?? 0
  const body = Buffer.from(unescaped(text?.[1] ?? ''), 'latin1')
  const code = rest.map(codeOf).find(found => found >= 0) ?? numbers.at(-1) ?? 0
  let payload: Buffer
  switch (type) {
    case h2.SETTINGS:
      payload = Buffer.concat(
        Object.entries(values).map(([setting, value]) =>
          Buffer.concat([Buffer.from([0, Number(setting)]), uint32(Number(value))]),
        ),
      )
      break
    case h2.WINDOW_UPDATE:
      payload = uint32(numbers[1] ?? 0)
      break
    case h2.RST_STREAM:
      payload = uint32(code)
      break
    case h2.GOAWAY:
      return goaway(id, code)
    case h2.PRIORITY:
      payload = Buffer.concat([uint32(Number(values.depends ?? 0)), Buffer.from([15])])
      break
    default:
      payload = Buffer.concat([block, body])
  }
  if (type === h2.HEADERS && values.depends !== undefined) {
    flags |= h2.WITH_PRIORITY
    payload = Buffer.concat([uint32(Number(values.depends)), Buffer.from([15]), payload])
  }
  if (values.padding !== undefined) {
    flags |= h2.PADDED
    payload = Buffer.concat([
      Buffer.from([Number(values.padding)]),
      payload,
      Buffer.alloc(Number(values.pads ?? values.padding)),
    ])
  }
  if (values.length !== undefined) payload = Buffer.alloc(Number(values.length), payload.length === 0 ? 0 : payload)
  return frame(type, flags, type === h2.PING || type === h2.SETTINGS ? Number(values.on ?? 0) : id, payload)
}

function codeOf(word: string): number {
  for (let code = 0; code < 14; code++) if (h2.errorName(code) === word) return code
  return -1
}

function expand(text: string): string {
  return text.replace(/<(\d+) \* ([^>]+)>/g, (_whole, count: string, what: string) => what.repeat(Number(count)))
}
