import { isIPv4, isIPv6 } from 'node:net'
import type { Wrong } from './wrong.ts'

/** Ranges of IP addresses as users write them: `10.0.0.0/8`, `fd00::/8`, or one address. */
export interface Cidr {
  readonly family: 4 | 6
  /** The first address, as a number. */
  readonly first: bigint
  readonly bits: number
}

export const cidrPattern = '^[0-9A-Fa-f:.]+(/\\d{1,3})?$'

/** Null: not a range. One whose address has bits behind the prefix (10.1.2.3/8) is none either. */
export function parseCidr(text: string): Cidr | null {
  const cidr = masked(text)
  return cidr === null || cidr.first !== cidr.address
    ? null
    : { family: cidr.family, first: cidr.first, bits: cidr.bits }
}

/** For a text that the schema has accepted. */
export function cidrOf(text: string): Cidr {
  const cidr = parseCidr(text)
  if (cidr === null) throw new Error(`not a range of addresses: ${text}`)
  return cidr
}

/** Null: it is one. */
export function wrongCidr(input: unknown): Wrong | null {
  const fix = 'write a range such as 10.0.0.0/8 or fd00::/8, or one address'
  if (typeof input !== 'string')
    return { what: '{value} is not a range of addresses', fix, otherForm: typeof input === 'object' }
  if (parseCidr(input) !== null) return null
  const cidr = masked(input)
  if (cidr === null) return { what: '{value} is not a range of addresses', fix }
  return { what: `{value} is an address inside a range, and the range begins earlier`, fix, meant: formatCidr(cidr) }
}

export function formatCidr({ family, first, bits }: Cidr): string {
  const whole = widthOf(family)
  const address = family === 4 ? ipv4Text(first) : ipv6Text(first)
  return bits === whole ? address : `${address}/${bits}`
}

export function contains(outer: Cidr, inner: Cidr): boolean {
  if (outer.family !== inner.family || outer.bits > inner.bits) return false
  const rest = BigInt(widthOf(outer.family) - outer.bits)
  return outer.first >> rest === inner.first >> rest
}

/** Sorted, without those that another one contains. */
export function mergeCidrs(cidrs: readonly Cidr[]): Cidr[] {
  const sorted = [...cidrs].sort(
    (a, b) => a.family - b.family || (a.first < b.first ? -1 : a.first > b.first ? 1 : a.bits - b.bits),
  )
  const merged: Cidr[] = []
  for (const cidr of sorted) if (!merged.some(other => contains(other, cidr))) merged.push(cidr)
  return merged
}

function masked(text: string): (Cidr & { readonly address: bigint }) | null {
  const [host = '', length, ...more] = text.split('/')
  const family = isIPv4(host) ? 4 : isIPv6(host) && !host.includes('%') ? 6 : null
  if (family === null || more.length > 0 || (length !== undefined && !/^\d{1,3}$/.test(length))) return null
  const bits = length === undefined ? widthOf(family) : Number(length)
  if (bits > widthOf(family)) return null
  const address = family === 4 ? ipv4Number(host) : ipv6Number(host)
  const rest = BigInt(widthOf(family) - bits)
  return { family, first: (address >> rest) << rest, bits, address }
}

function widthOf(family: 4 | 6): number {
  return family === 4 ? 32 : 128
}

function ipv4Number(text: string): bigint {
  return text.split('.').reduce((number, part) => number * 256n + BigInt(part), 0n)
}

function ipv6Number(text: string): bigint {
  const tail = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text)
  const plain =
    tail === null
      ? text
      : `${tail[1]}${[16n, 0n].map(shift => hex((ipv4Number(tail[2]!) >> shift) & 0xffffn)).join(':')}`
  const [before = '', after] = plain.split('::')
  const left = before === '' ? [] : before.split(':')
  const right = after === undefined || after === '' ? [] : after.split(':')
  const groups = [
    ...left,
    ...Array<string>(after === undefined ? 0 : 8 - left.length - right.length).fill('0'),
    ...right,
  ]
  return groups.reduce((number, group) => number * 65_536n + BigInt(`0x${group}`), 0n)
}

function ipv4Text(number: bigint): string {
  return [24n, 16n, 8n, 0n].map(shift => String((number >> shift) & 255n)).join('.')
}

/** As RFC 5952 wants it: the longest run of zeros is left out. */
function ipv6Text(number: bigint): string {
  const groups = Array.from({ length: 8 }, (_, i) => hex((number >> BigInt(112 - i * 16)) & 0xffffn))
  const runs = [...groups.join(':').matchAll(/(?<![\da-f])0(?::0)+(?![\da-f])/g)]
  const longest = runs.reduce((best, [run]) => (run.length > best.length ? run : best), '')
  const text = groups.join(':')
  if (longest === '') return text
  const at = runs.find(([run]) => run === longest)!.index
  return `${text.slice(0, at).replace(/:$/, '')}::${text.slice(at + longest.length).replace(/^:/, '')}`
}

function hex(number: bigint): string {
  return number.toString(16)
}
