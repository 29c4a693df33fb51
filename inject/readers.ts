import { nearest } from '../mesh-config/nearest.ts'

/** Reads the text of an annotation: a value, or what to write instead. */
export type Read<Value> = (text: string) => { readonly value: Value } | Wrong

export interface Wrong {
  /** Why the text is refused, and what helps: goes on after `outrigger.io/name: "text" `. */
  readonly wrong: string
}

export function oneOf<const Word extends string>(...words: readonly Word[]): Read<Word> {
  return text => {
    const value = words.find(word => word === text)
    if (value !== undefined) return { value }
    const meant = nearest(text, words)
    return { wrong: `is not one of ${words.join(', ')}${meant === null ? '' : `: did you mean ${meant}?`}` }
  }
}

export function matching(pattern: RegExp, is: string, fix: string): Read<string> {
  return text => (pattern.test(text) ? { value: text } : { wrong: `is not ${is}: write ${fix}` })
}

export const anyText: Read<string> = text => (text.trim() === '' ? { wrong: 'is empty' } : { value: text })

export function wholeNumber(min: number, max: number): Read<number> {
  return text => {
    const value = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN
    return value >= min && value <= max ? { value } : { wrong: `is not a whole number from ${min} to ${max}` }
  }
}

/** From 1024 up: the sidecar is not root. */
export const ownPort = wholeNumber(1024, 65_535)

/** Items with commas between them; spaces do not matter. */
export function listOf<Value>(read: Read<Value>, limit = 100): Read<readonly Value[]> {
  return text => {
    const items = text.split(',').map(item => item.trim())
    if (items.length > limit) return { wrong: `has more than ${limit} items` }
    const values: Value[] = []
    for (const item of items) {
      const one = item === '' ? { wrong: 'is empty: remove the comma' } : read(item)
      if ('wrong' in one) return { wrong: items.length === 1 ? one.wrong : `: "${item}" ${one.wrong}` }
      values.push(one.value)
    }
    return { value: values }
  }
}

/** `80` or `8000-8010`. */
export const portRange: Read<string> = text => {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text)
  const [low, high] = [Number(match?.[1]), Number(match?.[2] ?? match?.[1])]
  return match !== null && low >= 1 && high <= 65_535 && low <= high
    ? { value: text }
    : { wrong: 'is not a port or a range of ports: write 5432 or 8000-8010' }
}

export const cidr: Read<string> = text => {
  const match = /^([0-9a-fA-F.:]+)\/(\d{1,3})$/.exec(text)
  const isWhole = match !== null && URL.canParse(`http://${match[1]!.includes(':') ? `[${match[1]}]` : match[1]}/`)
  const most = match?.[1]?.includes(':') === true ? 128 : 32
  return isWhole && Number(match[2]) <= most && /^[^.]*$|^\d+\.\d+\.\d+\.\d+$/.test(match[1]!)
    ? { value: text }
    : { wrong: 'is not an address range: write 10.0.0.0/8 or fd00::/8' }
}

/** A network, an address or a name: the sidecar file says exactly which. */
export const destination = matching(
  /^[A-Za-z0-9*[][A-Za-z0-9.:*_/[\]-]{0,260}$/,
  'a destination',
  '10.0.0.0/8, 10.1.2.3:5432 or api.example.com:443',
)

/** A listener of the sidecar for a port of the application: `8080`, or `20080:8080` with the listener's own port first. */
export interface InboundPort {
  readonly listen: number | null
  readonly port: number
}

export const inboundPort: Read<InboundPort> = text => {
  const match = /^(?:(\d{1,5}):)?(\d{1,5})$/.exec(text)
  const [listen, port] = [match?.[1] === undefined ? null : Number(match[1]), Number(match?.[2])]
  const isGood =
    match !== null && port >= 1 && port <= 65_535 && (listen === null || (listen >= 1024 && listen <= 65_535))
  return isGood
    ? { value: { listen, port } }
    : { wrong: 'is not a port: write 8080, or 20080:8080 where the sidecar listens on 20080 (from 1024 up)' }
}

export const protocols = ['http', 'http2', 'grpc', 'tcp'] as const
export type Protocol = (typeof protocols)[number]

export const portProtocol: Read<{ readonly port: number; readonly protocol: Protocol }> = text => {
  const match = /^(\d{1,5})=(\w+)$/.exec(text)
  const protocol = protocols.find(each => each === match?.[2])
  const port = Number(match?.[1])
  return protocol !== undefined && port >= 1 && port <= 65_535
    ? { value: { port, protocol } }
    : { wrong: `is not a port with a protocol: write 8080=grpc, with one of ${protocols.join(', ')}` }
}

const units: Readonly<Record<string, number>> = {
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  Ki: 1024,
  Mi: 1024 ** 2,
  Gi: 1024 ** 3,
}

export interface Memory {
  readonly text: string
  readonly bytes: number
}

/** A quantity of Kubernetes in bytes. */
export function memory(min: number, why: string): Read<Memory> {
  return text => {
    const match = /^(\d{1,12}(?:\.\d{1,3})?)(k|M|G|Ki|Mi|Gi)?$/.exec(text)
    if (match === null) return { wrong: 'is not an amount of memory: write 128Mi or 1Gi' }
    const bytes = Number(match[1]) * units[match[2] ?? '']!
    return bytes >= min ? { value: { text, bytes } } : { wrong: `is too little: ${why}` }
  }
}

export const cpu = matching(/^(\d{1,6}m|\d{1,4}(\.\d{1,3})?)$/, 'an amount of CPU', '20m or 0.5')
