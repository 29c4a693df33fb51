import { isAuthority } from '../authority.ts'
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

/**
 * Method, authority and path from the request line and the Host field (RFC 9112 sections 3.2 and 3.3). `host`: the
 * field, -1 for none.
 */
export function readTarget(head: Http1Head, host: number): Outcome {
  const outcome = read(head, host)
  head.readAuthority = head.authority
  head.readPath = head.path
  return outcome
}

function read(head: Http1Head, host: number): Outcome {
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
  // User information in a target is deprecated and a way to disguise the host (RFC 9110 section 4.2.4): "@" is no host
  // byte.
  if (!isAuthority(authority, false)) return broken.targetForm
  const path = pathAt < 0 ? '' : rest.slice(pathAt)
  head.absolute = true
  head.authority = authority
  // OPTIONS http://host is what a client sends a proxy for "*" (RFC 9112 section 3.2.4).
  head.path = path === '' && head.method === 'OPTIONS' ? '*' : path.startsWith('/') ? path : `/${path}`
  return DONE
}
