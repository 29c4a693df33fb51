import { lowerCase } from '../../core/lower-case.ts'
import type { Carried, Headers, RequestHead, ResponseHead, WrittenNames } from '../../core/message.ts'
import { copyValueOf, traceFieldsOf } from '../../core/trace-fields.ts'
import { CONNECT } from '../../core/tunnel.ts'
import { isSameAuthority } from '../authority.ts'
import { HopFields } from '../hop/hop-fields.ts'
import { fits, namesOf } from '../hop/names.ts'
import {
  AUTHORITY,
  BAD_NAME,
  CARRIED_NAMES,
  CARRIED_REASON,
  CONTENT_LENGTH,
  COOKIE,
  EXPECT,
  FAILURE_SAID,
  HOST,
  isPseudo,
  METHOD,
  malformed,
  PATH,
  PLAIN,
  PROTOCOL,
  SCHEME,
  SOURCE_SAID,
  STATUS,
  TE,
} from './fields.ts'
import { MIN_MAX_FRAME } from './frame.ts'
import type { FieldSink } from './hpack/decoder.ts'

export interface HeadLimits {
  readonly maxHeaders: number
  readonly maxHeadBytes: number
  readonly maxTargetBytes: number
}

/**
 * What a header block may take before it is decoded: beyond it the connection ends. A head within the limit comes with
 * its names once more over a hop (hop/names.ts), and one that is too large, but not by much, is answered with 431 on
 * its stream, which costs the other streams nothing.
 */
export function blockBytes(maxHeadBytes: number): number {
  return 2 * maxHeadBytes + MIN_MAX_FRAME
}

/** Which pseudo-header fields have come. */
const seen = (kind: number) => 1 << kind
const REQUEST_PSEUDO = seen(METHOD) | seen(SCHEME) | seen(AUTHORITY) | seen(PATH) | seen(PROTOCOL)
const RESPONSE_PSEUDO = seen(STATUS)
const ALL_PSEUDO = REQUEST_PSEUDO | RESPONSE_PSEUDO
/** ": " and CRLF. */
const FIELD_OVERHEAD = 4
const KEPT_STRINGS = 256
const NOTHING: readonly string[] = []

/**
 * What a field takes of the limit on bytes: as much as its line of HTTP/1.1, so one limit means the same in both.
 * Pseudo-header fields have no names there, and the pieces of a cookie are one field (RFC 9113 section 8.2.3), joined
 * with "; ".
 */
function costOf(name: string, value: string, kind: number, cookies: number): number {
  if (isPseudo(kind)) return value.length + FIELD_OVERHEAD
  return kind === COOKIE && cookies > 0 ? value.length + 2 : name.length + value.length + FIELD_OVERHEAD
}

export function isContinue(expect: string): boolean {
  return expect.toLowerCase() === '100-continue'
}

/**
 * A head as it came in: pairs in order, and what the codec itself must know. Used again for another message, so texts
 * beyond `count` mean nothing.
 *
 * Several cookie fields are read as one value (RFC 9113 section 8.2.3), and stay several, if not too many, on
 * their way to another HTTP/2 connection, where they compress better.
 */
export class Http2Head implements Headers, Carried, RequestHead, ResponseHead, FieldSink {
  /** Name, value, name, value ... up to `count`. */
  pairs: string[] = []
  count = 0
  method = ''
  scheme: 'http' | 'https' = 'http'
  authority = ''
  path = ''
  upgrade = ''
  status = 0
  /** -1: none. */
  contentLength = -1
  expect = ''
  /** Made with the first head that has any. */
  #hop: HopFields | null = null
  /** Names of fields that must not be put into any table; nearly always none. */
  sensitive: readonly string[] = NOTHING
  /** The first rule it broke; empty: none. */
  problem = ''
  tooLarge = false
  #limits: HeadLimits
  #seen = 0
  #isRegular = false
  #host = ''
  #fields = 0
  #bytes = 0
  #cookies = 0

  constructor(limits: HeadLimits) {
    this.#limits = limits
  }

  get headers(): Headers {
    return this
  }

  get names(): WrittenNames | null {
    return this.#hop === null ? null : this.#hop.names
  }

  get reason(): string | null {
    return this.#hop === null ? null : this.#hop.reason
  }

  get ownFailure(): string {
    return this.#hop === null ? '' : this.#hop.ownFailure
  }

  set ownFailure(value: string) {
    if (value !== this.ownFailure) this.#hopFields().ownFailure = value
  }

  get source(): string {
    return this.#hop === null ? '' : this.#hop.source
  }

  #hopFields(): HopFields {
    this.#hop ??= new HopFields()
    return this.#hop
  }

  bodyLength(): number {
    return this.contentLength
  }

  carried(): Carried | null {
    return this.names === null ? null : this
  }

  /** Pieces of the cookie. */
  get crumbs(): number {
    return this.#cookies
  }

  /** About what it would be in HTTP/1.1. */
  get size(): number {
    return this.#bytes
  }

  clear(limits: HeadLimits): void {
    this.#limits = limits
    if (this.count > KEPT_STRINGS) this.pairs = []
    this.count = 0
    this.method = ''
    this.scheme = 'http'
    this.authority = ''
    this.path = ''
    this.upgrade = ''
    this.status = 0
    this.contentLength = -1
    this.expect = ''
    this.#hop?.clear()
    this.sensitive = NOTHING
    this.problem = ''
    this.tooLarge = false
    this.#seen = 0
    this.#isRegular = false
    this.#host = ''
    this.#fields = 0
    this.#bytes = 0
    this.#cookies = 0
  }

  // ── while it is decoded ──

  field(name: string, value: string, kind: number, sensitive: boolean): void {
    // They come on top of a head that was within the limits on its way here.
    if (kind === CARRIED_NAMES && this.names === null && value.length <= this.#limits.maxHeadBytes) {
      this.#isRegular = true
      this.#hopFields().names = namesOf(value)
      return
    }
    this.#bytes += costOf(name, value, kind, this.#cookies)
    if (kind !== COOKIE || this.#cookies === 0) this.#fields++
    if (this.#fields > this.#limits.maxHeaders + 8 || this.#bytes > this.#limits.maxHeadBytes) {
      this.tooLarge = true
      return
    }
    if (sensitive) this.sensitive = [...this.sensitive, name]
    if (kind === PLAIN || kind >= BAD_NAME) {
      if (kind >= BAD_NAME) this.#broken(malformed[kind]!)
      this.#isRegular = true
    } else if (!this.#control(kind, value)) return
    const { pairs, count } = this
    pairs[count] = name
    pairs[count + 1] = value
    this.count = count + 2
  }

  /** True: it is a field as others are, too. */
  #control(kind: number, value: string): boolean {
    if (kind <= STATUS) {
      if (this.#isRegular) this.#broken('a pseudo-header field after a regular one (RFC 9113 section 8.3)')
      else if ((this.#seen & seen(kind)) !== 0)
        this.#broken('a pseudo-header field that came twice (RFC 9113 section 8.3)')
      this.#seen |= seen(kind)
      this.#pseudo(kind, value)
      return false
    }
    this.#isRegular = true
    switch (kind) {
      case CONTENT_LENGTH:
        if (this.contentLength >= 0) this.#broken('more than one Content-Length (RFC 9110 section 8.6)')
        this.contentLength = Number(value)
        return true
      case HOST:
        if ((this.#seen & seen(HOST)) !== 0) this.#broken('more than one Host field (RFC 9112 section 3.2)')
        this.#seen |= seen(HOST)
        this.#host = value
        return false
      case COOKIE:
        this.#cookies++
        return true
      case EXPECT:
        // Of several, the one that cannot be met.
        if (this.expect === '' || isContinue(this.expect)) this.expect = value
        return true
      case CARRIED_REASON:
        this.#hopFields().reason ??= value
        return false
      case FAILURE_SAID:
        this.ownFailure = value
        return false
      case SOURCE_SAID:
        this.#hopFields().source = value
        return false
      default:
        // TE is "trailers" here, and so it may go on.
        return kind === TE
    }
  }

  #pseudo(kind: number, value: string): void {
    if (kind === METHOD) this.method = value
    else if (kind === SCHEME) this.scheme = value as 'http' | 'https'
    else if (kind === AUTHORITY) this.authority = value
    else if (kind === PATH) this.path = value
    else if (kind === PROTOCOL) this.upgrade = value.toLowerCase()
    else this.status = (value.charCodeAt(0) - 48) * 100 + (value.charCodeAt(1) - 48) * 10 + value.charCodeAt(2) - 48
  }

  #broken(rule: string): void {
    if (this.problem === '') this.problem = rule
  }

  /** The block is whole: what follows from all of a request's fields together (RFC 9113 section 8.3.1). */
  finishRequest(): void {
    const pseudo = this.#seen & ALL_PSEUDO
    this.#countFields()
    if ((pseudo & ~REQUEST_PSEUDO) !== 0) return this.#broken(':status in a request (RFC 9113 section 8.3)')
    if ((pseudo & seen(METHOD)) === 0) return this.#broken('no :method (RFC 9113 section 8.3.1)')
    if (this.authority === '') this.authority = this.#host
    else if (this.#host !== '' && !isSameAuthority(this.#host, this.authority, this.scheme))
      return this.#broken('Host is not what :authority is (RFC 9113 section 8.3.1)')
    const isConnect = this.method === 'CONNECT'
    const isExtended = (pseudo & seen(PROTOCOL)) !== 0
    if (isExtended && !isConnect) return this.#broken(':protocol in a request that is no CONNECT (RFC 8441 section 4)')
    if (isConnect && !isExtended) {
      if ((pseudo & (seen(SCHEME) | seen(PATH))) !== 0)
        return this.#broken(':scheme or :path in a CONNECT (RFC 9113 section 8.5)')
      this.path = this.authority
      this.upgrade = CONNECT
      if (!/:\d+$/.test(this.authority)) return this.#broken('a CONNECT to no host and port (RFC 9113 section 8.5)')
    } else if ((pseudo & seen(SCHEME)) === 0) return this.#broken('no :scheme (RFC 9113 section 8.3.1)')
    else if ((pseudo & seen(PATH)) === 0) return this.#broken('no :path (RFC 9113 section 8.3.1)')
    else if (this.path === '*' && this.method !== 'OPTIONS')
      return this.#broken(':path is "*" and the method is not OPTIONS (RFC 9113 section 8.3.1)')
    // As if it had come over HTTP/1.1: what is matched and logged is a GET (RFC 8441 section 5).
    if (isExtended) this.method = 'GET'
    if (isConnect && this.contentLength > 0) return this.#broken('a CONNECT with a body (RFC 9110 section 9.3.6)')
    if (this.authority === '') this.#broken('neither :authority nor Host (RFC 9113 section 8.3.1)')
    this.#checkNames(true)
  }

  finishResponse(): void {
    const pseudo = this.#seen & ALL_PSEUDO
    this.#countFields()
    if (pseudo !== RESPONSE_PSEUDO)
      this.#broken(
        pseudo === 0
          ? 'no :status (RFC 9113 section 8.3.2)'
          : 'a pseudo-header field of requests (RFC 9113 section 8.3)',
      )
    // It would be to HTTP/1.1 callers as if the connection had been handed over (RFC 9113 section 8.6).
    if (this.status === 101) this.#broken('101, which HTTP/2 does not have (RFC 9113 section 8.6)')
    if (this.#host !== '') this.#keepHost()
    this.#checkNames(false)
  }

  #countFields(): void {
    if (this.count / 2 - Math.max(0, this.#cookies - 1) > this.#limits.maxHeaders) this.tooLarge = true
  }

  #checkNames(isRequest: boolean): void {
    // What asks for a tunnel is never carried.
    if (this.names !== null && (this.upgrade !== '' || !fits(this.names, this.pairs, this.count, isRequest)))
      this.#hopFields().names = null
  }

  /** In a response it means nothing, and passes as other fields do. */
  #keepHost(): void {
    this.pairs[this.count++] = 'host'
    this.pairs[this.count++] = this.#host
  }

  finishTrailers(): void {
    this.#countFields()
    if ((this.#seen & ALL_PSEUDO) !== 0) this.#broken('a pseudo-header field in trailers (RFC 9113 section 8.1)')
    this.#checkNames(false)
    if (this.names?.hasCoding === true) this.#hopFields().names = null
  }

  // ── what others see ──

  get(name: string): string | undefined {
    const wanted = lowerCase(name)
    const { pairs, count } = this
    let value: string | undefined
    for (let i = 0; i < count; i += 2) {
      if (pairs[i] === wanted)
        value = value === undefined ? pairs[i + 1]! : `${value}${wanted === 'cookie' ? '; ' : ', '}${pairs[i + 1]!}`
    }
    return value
  }

  set(name: string, value: string): void {
    this.delete(name)
    this.add(name, value)
  }

  add(name: string, value: string): void {
    const wanted = lowerCase(name)
    // As in HTTP/1.1: what says how the body is framed is one truth with the framing.
    if (wanted === 'content-length' || wanted === 'transfer-encoding') {
      this.delete('content-length')
      if (wanted === 'transfer-encoding' || !/^\d{1,15}$/.test(value)) return
      this.contentLength = Number(value)
    }
    this.pairs[this.count++] = wanted
    this.pairs[this.count++] = value
  }

  delete(name: string): void {
    const wanted = lowerCase(name)
    const { pairs, count } = this
    if (wanted === 'content-length') this.contentLength = -1
    let to = 0
    for (let i = 0; i < count; i += 2) {
      if (pairs[i] === wanted) continue
      if (to !== i) {
        pairs[to] = pairs[i]!
        pairs[to + 1] = pairs[i + 1]!
      }
      to += 2
    }
    this.count = to
  }

  traceFields(): number {
    return traceFieldsOf(this.pairs, this.count)
  }

  copyValue(name: string, into: Uint8Array): number {
    return copyValueOf(this.pairs, this.count, name, into)
  }

  tellTrace(): boolean {
    return false
  }

  forEach(visit: (name: string, value: string) => void): void {
    const { pairs, count } = this
    let isFolded = this.#cookies < 2
    for (let i = 0; i < count; i += 2) {
      const name = pairs[i]!
      if (this.#cookies < 2 || name !== 'cookie') visit(name, pairs[i + 1]!)
      else if (!isFolded) {
        isFolded = true
        visit(name, this.get(name)!)
      }
    }
  }
}
