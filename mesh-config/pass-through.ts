import { isIPv4, isIPv6 } from 'node:net'
import { addressBytes, parseAddress } from './address.ts'
import { hostOf } from './host-name.ts'
import type { AddressSpec, TransparentSpec } from './snapshot.ts'

/** One entry of `passThrough`, as a user writes it. */
interface Rule {
  /** The network, and how many of its bits count; null: the rule has a name. */
  readonly network: { readonly bytes: readonly number[]; readonly bits: number } | null
  /** In small letters; `*.example.com` is any name with that end. */
  readonly name: string
  /** 0: any. */
  readonly port: number
}

/** `10.0.0.0/8`, `10.1.2.3`, `fd00::/8`, `10.1.2.3:5432`, `api.example.com:443`, `*.example.com:443`. Null: none of those. */
export function parseRule(text: string): Rule | null {
  const [address = '', bits] = text.split('/', 2)
  if (isIPv4(address) || isIPv6(address)) {
    const bytes = addressBytes(address)!
    const most = bytes.length * 8
    if (bits === undefined) return { network: { bytes, bits: most }, name: '', port: 0 }
    return /^\d{1,3}$/.test(bits) && Number(bits) <= most
      ? { network: { bytes, bits: Number(bits) }, name: '', port: 0 }
      : null
  }
  const isWildcard = text.startsWith('*.')
  const parsed = parseAddress(isWildcard ? text.slice(2) : text)
  if (parsed === null || parsed.port === 0) return null
  const literal = addressBytes(parsed.address)
  if (literal === null) return { network: null, name: `${isWildcard ? '*.' : ''}${parsed.address}`, port: parsed.port }
  return isWildcard ? null : { network: { bytes: literal, bits: literal.length * 8 }, name: '', port: parsed.port }
}

/** Whether a connection may go on to where its client was going. `host`: what it named (Host or SNI); empty: nothing. */
export type Allows = (original: AddressSpec, host: string) => boolean

export function allowsOf(passThrough: TransparentSpec['passThrough']): Allows {
  if (typeof passThrough === 'string') return () => passThrough === 'allow'
  const rules = passThrough.map(text => parseRule(text)!)
  return ({ address, port }, host) => {
    const bytes = addressBytes(address)
    const name = host === '' ? '' : hostOf(host)
    return rules.some(
      rule =>
        (rule.port === 0 || rule.port === port) &&
        (rule.network === null ? isNamed(rule.name, name) : bytes !== null && isIn(bytes, rule.network)),
    )
  }
}

function isNamed(rule: string, name: string): boolean {
  return rule.startsWith('*.') ? name.endsWith(rule.slice(1)) && name.length >= rule.length : name === rule
}

function isIn(bytes: readonly number[], { bytes: network, bits }: NonNullable<Rule['network']>): boolean {
  if (bytes.length !== network.length) return false
  for (let at = 0; at * 8 < bits; at++) {
    const counted = Math.min(8, bits - at * 8)
    const mask = (0xff << (8 - counted)) & 0xff
    if ((bytes[at]! & mask) !== (network[at]! & mask)) return false
  }
  return true
}
