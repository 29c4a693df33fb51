import { HOST } from './bytes.ts'
import type { Http1Head } from './head.ts'
import { broken, DONE, type Outcome } from './outcome.ts'

const SLASH = 0x2f

/** The common methods, so that a request costs no string for its method. */
const METHODS = ['GET', 'POST', 'PUT', 'DELETE', 'HEAD', 'PATCH', 'OPTIONS', 'CONNECT', 'TRACE']
const methodBytes = METHODS.map(method => Buffer.from(method))

function methodOf(head: Http1Head): string {
  const length = head.methodEnd - head.start
  const b = head.bytes
  next: for (let m = 0; m < METHODS.length; m++) {
    const bytes = methodBytes[m]!
    if (bytes.length !== length) continue
    for (let i = 0; i < length; i++) if (bytes[i] !== b[head.start + i]) continue next
    return METHODS[m]!
  }
  return b.latin1Slice(head.start, head.methodEnd)
}

/** Method, authority and path from the request line and the Host field (RFC 9112 sections 3.2 and 3.3). `host`: the field, -1 for none. */
export function readTarget(head: Http1Head, host: number): Outcome {
  head.method = methodOf(head)
  const target = head.bytes.latin1Slice(head.targetStart, head.targetEnd)
  if (host >= 0) {
    head.authority = head.value(host)
    if (!isAuthority(head.authority, true)) return broken.host
  }
  head.path = target
  if (head.method === 'CONNECT') {
    // Whatever Host says: the target is where it goes (RFC 9112 section 3.2.3).
    head.authority = target
    return isAuthority(target, false) && /:\d+$/.test(target) ? DONE : broken.targetForm
  }
  if (target.charCodeAt(0) === SLASH) return DONE
  if (target === '*') return head.method === 'OPTIONS' ? DONE : broken.targetForm
  return readAbsolute(head, target)
}

function readAbsolute(head: Http1Head, target: string): Outcome {
  const separator = target.indexOf('://')
  if (separator < 0) return broken.targetForm
  const scheme = target.slice(0, separator).toLowerCase()
  if (scheme !== 'http' && scheme !== 'https') return broken.targetForm
  const rest = target.slice(separator + 3)
  const pathAt = rest.search(/[/?]/)
  const authority = pathAt < 0 ? rest : rest.slice(0, pathAt)
  // User information in a target is deprecated and a way to disguise the host (RFC 9110 section 4.2.4): "@" is no host byte.
  if (!isAuthority(authority, false)) return broken.targetForm
  const path = pathAt < 0 ? '' : rest.slice(pathAt)
  head.absolute = true
  head.authority = authority
  // OPTIONS http://host is what a client sends a proxy for "*" (RFC 9112 section 3.2.4).
  head.path = path === '' && head.method === 'OPTIONS' ? '*' : path.startsWith('/') ? path : `/${path}`
  return DONE
}

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
  return (code >= 0x30 && code <= 0x3a) || code === 0x2e || (code >= 0x41 && code <= 0x46) || (code >= 0x61 && code <= 0x66)
}
