import { hostOf, portOf } from '../../mesh-config/host-name.ts'
import { HOST } from './bytes.ts'

/**
 * A host, perhaps with a port: what Host and `:authority` may be (RFC 9110 section 7.2). User information is none of
 * it.
 */
export function isAuthority(text: string, mayBeEmpty: boolean): boolean {
  if (text === '') return mayBeEmpty
  for (let i = 0; i < text.length; i++) if (HOST[text.charCodeAt(i)] !== 1) return false
  let portAt: number
  if (text.charCodeAt(0) === 0x5b) {
    const close = text.indexOf(']')
    if (close < 0 || text.indexOf('[', 1) >= 0) return false
    for (let i = 1; i < close; i++) if (!isAddressByte(text.charCodeAt(i))) return false
    portAt = close + 1
    if (portAt < text.length && text.charCodeAt(portAt) !== 0x3a) return false
  } else {
    if (text.includes('[') || text.includes(']')) return false
    portAt = text.indexOf(':')
    if (portAt === 0) return false
    if (portAt < 0) portAt = text.length
  }
  for (let i = portAt + 1; i < text.length; i++) {
    const digit = text.charCodeAt(i) - 0x30
    if (digit < 0 || digit > 9) return false
  }
  return text.length - portAt <= 6
}

/** Hex digits, ":" and "." of an IPv6 address. */
function isAddressByte(code: number): boolean {
  return (
    (code >= 0x30 && code <= 0x3a) || code === 0x2e || (code >= 0x41 && code <= 0x46) || (code >= 0x61 && code <= 0x66)
  )
}

/**
 * The same server for requests of `scheme`: without case, the scheme's own port, and the dot that ends a full name (RFC
 * 9110 section 4.2.3).
 */
export function isSameAuthority(a: string, b: string, scheme: 'http' | 'https'): boolean {
  return a === b || normal(a, scheme) === normal(b, scheme)
}

function normal(authority: string, scheme: 'http' | 'https'): string {
  const host = hostOf(authority)
  const port = portOf(authority)
  return port === '' || Number(port) === (scheme === 'http' ? 80 : 443) ? host : `${host}:${Number(port)}`
}
