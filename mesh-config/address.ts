import { isIPv4, isIPv6 } from 'node:net'
import type { AddressSpec } from './snapshot.ts'

/** `host:port` as a user writes it. An IPv6 address stands in brackets: `[::1]:80`. */

export const addressPattern = '^(\\[[0-9a-fA-F:.]+\\]|[A-Za-z0-9._-]+):\\d{1,5}$'

/** Null: not an address. The host is an IP address or a name; an IPv6 host in the result has no brackets. */
export function parseAddress(text: string): AddressSpec | null {
  const match = /^(?:\[([^[\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text)
  if (match === null) return null
  const port = Number(match[3])
  if (port > 65_535) return null
  const [, ipv6, host] = match
  if (ipv6 !== undefined) return isIPv6(ipv6) ? { address: ipv6.toLowerCase(), port } : null
  return isHost(host!) ? { address: host!.toLowerCase(), port } : null
}

/** For text that the schema has accepted. */
export function addressOf(text: string): AddressSpec {
  const parsed = parseAddress(text)
  if (parsed === null) throw new Error(`not an address: ${text}`)
  return parsed
}

export function formatAddress({ address, port }: AddressSpec): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
}

/** An IPv4 address or a DNS name; all digits and dots but no IPv4 address (`999.1.1.1`) is neither. */
function isHost(host: string): boolean {
  if (isIPv4(host)) return true
  if (/^[\d.]+$/.test(host) || host.length > 253) return false
  return host.split('.').every(label => /^(?!-)[a-z0-9_-]{1,63}(?<!-)$/i.test(label))
}

/** True for addresses that only this machine can reach. */
export function isLoopback(address: string): boolean {
  return address === 'localhost' || address === '::1' || address.startsWith('127.')
}

/** An address, or `localhost`: no name that needs to be resolved. */
export function isLiteral(address: string): boolean {
  return isIPv4(address) || isIPv6(address) || address === 'localhost'
}

/** This machine, or the link-local network, where clouds have their metadata service. */
export function isInside(address: string): boolean {
  return isLoopback(address) || isWildcard(address) || /^169\.254\.|^fe[89ab][0-9a-f]:|^fd00:ec2::254$/i.test(address)
}

/** All addresses of this machine. */
export function isWildcard(address: string): boolean {
  return address === '0.0.0.0' || address === '::'
}

/** True when listening on both would fail, or split the connections at random. Port 0 is a new port each time. */
export function overlap(a: AddressSpec, b: AddressSpec): boolean {
  if (a.port !== b.port || a.port === 0) return false
  return numeric(a.address) === numeric(b.address) || isWildcard(a.address) || isWildcard(b.address)
}

function numeric(address: string): string {
  return address === 'localhost' ? '127.0.0.1' : address
}

export interface AddressGuess {
  readonly what: string
  /** What was probably meant; null: unknown. */
  readonly meant: string | null
}

/**
 * Why a text is not an address, and what was probably meant. For texts that `parseAddress` refused. `{value}` stands
 * for the input, `everywhere` is what `*` means.
 */
export function explainAddress(input: string | number, everywhere: string): AddressGuess {
  const text = String(input).trim()
  const url = /^[a-z][a-z0-9+.-]*:\/\/([^/?#]*)/i.exec(text)
  if (url !== null) return { what: '{value} is a URL, and an address is host:port', meant: sound(url[1]!) }
  if (/^\d{1,5}$/.test(text)) return { what: '{value} is a port without a host', meant: sound(`127.0.0.1:${text}`) }
  if (/^:\d{1,5}$/.test(text))
    return {
      what: '{value} does not say on which address (127.0.0.1 is this machine only, 0.0.0.0 everyone)',
      meant: sound(`127.0.0.1${text}`),
    }
  if (/^\*:\d{1,5}$/.test(text))
    return { what: '{value} is not an address', meant: sound(text.replace('*', everywhere)) }
  if (isIPv6(text))
    return {
      what: '{value} is an IPv6 address without brackets',
      meant: sound(text.replace(/^(.*):(\d{1,5})$/, '[$1]:$2')),
    }
  const port = /:(\d+)$/.exec(text)
  if (port === null) return { what: '{value} has no port', meant: null }
  if (Number(port[1]) > 65_535) return { what: '{value} has a port above 65535, the highest there is', meant: null }
  return { what: '{value} is not an address', meant: null }
}

function sound(text: string): string | null {
  return parseAddress(text) === null ? null : text
}

/** The four or sixteen bytes of an address; null: it is a name. */
export function addressBytes(address: string): number[] | null {
  if (isIPv4(address)) return address.split('.').map(Number)
  if (!isIPv6(address)) return null
  const [before = '', after] = address.replace(/%.*$/, '').split('::', 2)
  const head = groupBytes(before)
  const tail = after === undefined ? [] : groupBytes(after)
  return [...head, ...new Array<number>(16 - head.length - tail.length).fill(0), ...tail]
}

function groupBytes(text: string): number[] {
  if (text === '') return []
  return text.split(':').flatMap(group => {
    if (group.includes('.')) return group.split('.').map(Number)
    const value = Number.parseInt(group, 16)
    return [value >> 8, value & 0xff]
  })
}

/** An IPv6 address as RFC 5952 writes it, so that equal addresses are equal texts; others stay as they are. */
export function canonicalAddress(address: string): string {
  const bytes = address.includes(':') ? addressBytes(address) : null
  return bytes === null ? address : ipv6Text(bytes)
}

/** The text of sixteen bytes, as RFC 5952 has it. */
export function ipv6Text(bytes: ArrayLike<number>, offset = 0): string {
  const groups = Array.from({ length: 8 }, (_, at) => (bytes[offset + 2 * at]! << 8) | bytes[offset + 2 * at + 1]!)
  let longest = 1
  let start = -1
  for (let at = 0; at < 8; ) {
    let end = at
    while (end < 8 && groups[end] === 0) end++
    if (end - at > longest) {
      longest = end - at
      start = at
    }
    at = Math.max(end, at + 1)
  }
  const text = (part: readonly number[]) => part.map(group => group.toString(16)).join(':')
  return start < 0 ? text(groups) : `${text(groups.slice(0, start))}::${text(groups.slice(start + longest))}`
}
