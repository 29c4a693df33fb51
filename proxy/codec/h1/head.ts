import { lowerCase } from '../../core/lower-case.ts'
import type { Headers, RequestHead, ResponseHead } from '../../core/message.ts'
import { TRACEPARENT as TRACEPARENT_NAME, traceFieldOf } from '../../core/trace-fields.ts'
import { copyText, type ToldIds, traceparentOf } from '../../core/traceparent.ts'
import { LOWER, NO_BYTES } from '../bytes.ts'
import {
  CONTENT_LENGTH,
  idOfName,
  OTHER,
  REMOVED,
  TRACE_FIELDS,
  TRACEPARENT,
  TRANSFER_ENCODING,
} from './field-names.ts'

const FIRST_FIELDS = 24
const FIRST_OWN_BYTES = 1024
const KEPT_OWN_BYTES = 4 * FIRST_OWN_BYTES

/**
 * A head as it was read: the bytes, where each field lies in them, and the edits made since. What is not edited is
 * copied to the other side as it stands, so order, case and spelling of the fields are kept. Used again for the next
 * message of the connection.
 */
export class Http1Head implements Headers, RequestHead, ResponseHead {
  bytes: Buffer = NO_BYTES
  /** Where the start line begins, after empty lines that are to be ignored (RFC 9112 section 2.2). */
  start = 0
  /** Where parsing goes on: always at the start of a line. */
  at = 0
  /**
   * Up to where the line at `at` was read when its bytes ran out, and whether that was past its colon: so no byte is
   * read once a packet.
   */
  read = 0
  inValue = false
  /** Start of the first field line; 0 until the start line is whole. */
  fieldsAt = 0
  /** Just after the empty line; 0 until the head is whole. */
  end = 0

  methodEnd = 0
  targetStart = 0
  targetEnd = 0
  minorVersion = 1
  status = 0
  /** Where the reason phrase, if any, begins: just after the status code. */
  statusEnd = 0

  /** Four offsets a field: name start, name end, value start, value end. */
  fields = new Int32Array(FIRST_FIELDS * 4)
  ids = new Uint8Array(FIRST_FIELDS)
  count = 0
  /** Fields set by filters: name, value, name, value ... as far as `addedEnd`: an array that is emptied grows anew. */
  readonly added: string[] = []
  addedEnd = 0
  /** What `traceparent` says in the place of the one that came; null: that one stands. */
  told: ToldIds | null = null

  /** -1: none. */
  contentLength = -1
  chunked = false
  /** Its Transfer-Encoding is not passed on as it was written, but made anew. */
  codingAnew = false
  /** Whether the sender will keep the connection open. */
  keepAlive = true
  /** Connection has "close". */
  closing = false
  /** Connection has "upgrade". */
  mayUpgrade = false
  /** There is an Upgrade field, whatever it says. */
  offersUpgrade = false
  /** What a request asks for (`RequestHead.upgrade`), or what a 101 says the connection has become. */
  upgrade = ''
  /** What a request asked for, whatever has become of it since. */
  offered = ''
  expectContinue = false
  /** TE of a request says "trailers". */
  takesTrailers = false
  /** Connection has the option by which a sidecar says that it takes HTTP/1.1 as HTTP/2. */
  offersHop = false
  /** What Connection of an answer tells by `outrigger-failure.`; it counts as `ownFailure` where a sidecar is known to say it. */
  claimedFailure = ''
  ownFailure = ''

  method = ''
  scheme: 'http' | 'https' = 'http'
  authority = ''
  path = ''
  /** Both as they were read: a filter may have changed them since. */
  readAuthority = ''
  readPath = ''
  /** The target was in absolute form: the Host field gives way to `authority` (RFC 9112 section 3.2.2). */
  absolute = false

  /** Memory of its own, used for head after head. */
  #own: Buffer = NO_BYTES

  /** HTTP/1.1 has no such mark. */
  get source(): string {
    return ''
  }

  get headers(): Headers {
    return this
  }

  clear(): void {
    this.bytes = NO_BYTES
    this.start = 0
    this.at = 0
    this.read = 0
    this.inValue = false
    this.fieldsAt = 0
    this.end = 0
    this.status = 0
    this.minorVersion = 1
    this.count = 0
    // Values may be long, and the connection idle for an hour.
    for (let i = 0; i < this.addedEnd; i++) this.added[i] = ''
    this.addedEnd = 0
    this.told = null
    this.contentLength = -1
    this.chunked = false
    this.codingAnew = false
    this.keepAlive = true
    this.closing = false
    this.mayUpgrade = false
    this.offersUpgrade = false
    this.upgrade = ''
    this.offered = ''
    this.expectContinue = false
    this.takesTrailers = false
    this.offersHop = false
    this.claimedFailure = ''
    this.ownFailure = ''
    this.absolute = false
    this.authority = ''
    this.readAuthority = ''
    this.method = ''
  }

  /** The request line and Host cannot be copied as they stand. */
  get isTargetAnew(): boolean {
    return this.absolute || this.path !== this.readPath || this.authority !== this.readAuthority
  }

  addField(id: number, nameStart: number, nameEnd: number, valueStart: number, valueEnd: number): void {
    const i = this.count++
    if (i === this.ids.length) this.#grow()
    this.ids[i] = id
    const fields = this.fields
    const k = i << 2
    fields[k] = nameStart
    fields[k + 1] = nameEnd
    fields[k + 2] = valueStart
    fields[k + 3] = valueEnd
  }

  #grow(): void {
    const fields = new Int32Array(this.fields.length * 2)
    fields.set(this.fields)
    this.fields = fields
    const ids = new Uint8Array(this.ids.length * 2)
    ids.set(this.ids)
    this.ids = ids
  }

  /** Takes the head out of a buffer that is read into again while the exchange still needs its head. */
  keep(): void {
    if (this.#own.length < this.end) this.#own = Buffer.allocUnsafeSlow(Math.max(FIRST_OWN_BYTES, this.end))
    this.bytes.copy(this.#own, 0, 0, this.end)
    this.bytes = this.#own
  }

  /** Its memory is larger than an idle connection keeps. */
  get isLarge(): boolean {
    return this.#own.length > KEPT_OWN_BYTES
  }

  /** It is no longer read. */
  letGo(): void {
    this.clear()
    this.added.length = 0
    this.#own = NO_BYTES
  }

  value(field: number): string {
    return this.bytes.latin1Slice(this.fields[(field << 2) + 2]!, this.fields[(field << 2) + 3]!)
  }

  /** Latin-1, as it will be written again: a byte for a character. */
  get(name: string): string | undefined {
    const wanted = lowerCase(name)
    const id = idOfName(wanted)
    if (id === TRACEPARENT && this.told !== null) return traceparentOf(this.told)
    let value: string | undefined
    for (let i = 0; i < this.count; i++) {
      if (id === OTHER ? this.ids[i] === OTHER && this.#isNamed(i, wanted) : this.ids[i] === id) {
        value = value === undefined ? this.value(i) : `${value}, ${this.value(i)}`
      }
    }
    for (let i = 0; i < this.addedEnd; i += 2) {
      if (this.added[i] === wanted) value = value === undefined ? this.added[i + 1]! : `${value}, ${this.added[i + 1]!}`
    }
    return value
  }

  set(name: string, value: string): void {
    const wanted = lowerCase(name)
    const id = idOfName(wanted)
    this.#delete(id, wanted)
    this.#append(id, wanted, value)
  }

  add(name: string, value: string): void {
    const wanted = lowerCase(name)
    this.#append(idOfName(wanted), wanted, value)
  }

  delete(name: string): void {
    const wanted = lowerCase(name)
    this.#delete(idOfName(wanted), wanted)
  }

  #append(id: number, lowerCase: string, value: string): void {
    if (id === CONTENT_LENGTH || id === TRANSFER_ENCODING) this.#frame(id, value)
    else this.#push(lowerCase, value)
  }

  #push(lowerCase: string, value: string): void {
    this.added[this.addedEnd++] = lowerCase
    this.added[this.addedEnd++] = value
  }

  /**
   * What says how the body is framed is one truth with the framing: either field takes the place of the other, a length
   * that is none and any coding make the body chunked, and the line for that is written with the body.
   */
  #frame(id: number, value: string): void {
    this.delete('content-length')
    this.delete('transfer-encoding')
    if (id === TRANSFER_ENCODING || !/^\d{1,15}$/.test(value)) return
    this.contentLength = Number(value)
    this.#push('content-length', value)
  }

  #delete(id: number, wanted: string): void {
    if (id === TRACEPARENT) this.told = null
    if (id === CONTENT_LENGTH) this.contentLength = -1
    else if (id === TRANSFER_ENCODING) {
      this.chunked = false
      this.codingAnew = false
    }
    for (let i = 0; i < this.count; i++) {
      if (id === OTHER ? this.ids[i] === OTHER && this.#isNamed(i, wanted) : this.ids[i] === id) this.ids[i] = REMOVED
    }
    const { added } = this
    let to = 0
    for (let i = 0; i < this.addedEnd; i += 2) {
      if (added[i] === wanted) continue
      added[to++] = added[i]!
      added[to++] = added[i + 1]!
    }
    for (let i = to; i < this.addedEnd; i++) added[i] = ''
    this.addedEnd = to
  }

  bodyLength(): number {
    return this.contentLength
  }

  carried(): null {
    return null
  }

  traceFields(): number {
    const { ids, count, added, addedEnd } = this
    let fields = 0
    for (let i = 0; i < count; i++) fields |= TRACE_FIELDS[ids[i]!]!
    for (let i = 0; i < addedEnd; i += 2) fields |= traceFieldOf(added[i]!)
    return fields
  }

  copyValue(name: string, into: Uint8Array): number {
    const id = idOfName(name)
    let at = -1
    for (let i = 0; i < this.count; i++) {
      if (id === OTHER ? this.ids[i] !== OTHER || !this.#isNamed(i, name) : this.ids[i] !== id) continue
      if (at >= 0) return -1
      at = i
    }
    const added = this.added.indexOf(name)
    if (added >= 0 && added < this.addedEnd) return at >= 0 ? -1 : copyText(this.added[added + 1]!, into)
    if (at < 0) return -1
    const start = this.fields[(at << 2) + 2]!
    const length = this.fields[(at << 2) + 3]! - start
    for (let i = 0; i < length && i < into.length; i++) into[i] = this.bytes[start + i]!
    return length
  }

  tellTrace(ids: ToldIds | null): boolean {
    this.told = ids
    return true
  }

  /** For what writes fields one by one. */
  settleTrace(): void {
    if (this.told !== null) this.set(TRACEPARENT_NAME, traceparentOf(this.told))
  }

  forEach(visit: (name: string, value: string) => void): void {
    const hidden = this.told === null ? REMOVED : TRACEPARENT
    for (let i = 0; i < this.count; i++) {
      if (this.ids[i] !== REMOVED && this.ids[i] !== hidden)
        visit(this.bytes.latin1Slice(this.fields[i << 2]!, this.fields[(i << 2) + 1]!), this.value(i))
    }
    for (let i = 0; i < this.addedEnd; i += 2) visit(this.added[i]!, this.added[i + 1]!)
    if (this.told !== null) visit(TRACEPARENT_NAME, traceparentOf(this.told))
  }

  #isNamed(field: number, lowerCase: string): boolean {
    const start = this.fields[field << 2]!
    if (this.fields[(field << 2) + 1]! - start !== lowerCase.length) return false
    for (let i = 0; i < lowerCase.length; i++)
      if (LOWER[this.bytes[start + i]!] !== lowerCase.charCodeAt(i)) return false
    return true
  }
}
