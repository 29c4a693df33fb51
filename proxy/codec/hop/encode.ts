import type { Headers, RequestHead, ResponseHead } from '../../core/message.ts'
import { trimOws } from '../bytes.ts'
import {
  CONNECTION,
  HOST_FIELD,
  HTTP2_SETTINGS,
  KEEP_ALIVE,
  PROXY_CONNECTION,
  REMOVED,
  TE,
  TRANSFER_ENCODING,
  UPGRADE,
} from '../h1/field-names.ts'
import { Http1Head } from '../h1/head.ts'
import { reasonOf } from '../h1/reason.ts'
import { encodeRequest, encodeResponse } from '../h2/head-writer.ts'
import type { Encoder } from '../h2/hpack/encoder.ts'
import { FAILURE, NAMES, REASON, SOURCE } from './names.ts'

/**
 * What HTTP/1.1 would have written before the fields: nothing, the Host of a request line made anew, or the coding of a
 * body that came without one.
 */
const AS_IT_CAME = ''
const HOST_FIRST = 'Host'
const CODING_FIRST = 'transfer-encoding'

/** The status texts HPACK looks for. */
const statuses = Array.from({ length: 1000 }, (_, status) => String(status))

/** The block of a request that came by HTTP/1.1 and leaves as such behind the next sidecar. */
export function encodeCarriedRequest(encoder: Encoder, head: RequestHead): void {
  if (!(head instanceof Http1Head)) return encodeRequest(encoder, head)
  encoder.field(':method', head.method, false)
  encoder.field(':scheme', head.scheme, false)
  encoder.field(':authority', head.authority, false)
  encoder.field(':path', head.path, false)
  // As serialize.ts has it: the line and the Host of HTTP/1.0 and of the absolute form are made anew.
  encodeCarried(encoder, head, head.minorVersion === 1 && !head.absolute ? AS_IT_CAME : HOST_FIRST, requests)
}

/** The same for the answer. `hasBody`: something follows the head. */
export function encodeCarriedResponse(encoder: Encoder, head: ResponseHead, hasBody: boolean): void {
  if (!(head instanceof Http1Head)) return encodeResponse(encoder, head)
  encoder.field(':status', statuses[head.status]!, false)
  encodeCarried(
    encoder,
    head,
    hasBody && (head.chunked ? head.codingAnew : head.contentLength < 0) ? CODING_FIRST : AS_IT_CAME,
    responses,
  )
  const reason = trimOws(head.bytes.latin1Slice(head.statusEnd, head.fieldsAt - 2))
  if (reason !== reasonOf(head.status)) encoder.field(REASON, reason, false)
}

export function encodeCarriedTrailers(encoder: Encoder, trailers: Headers): void {
  const names: string[] = []
  trailers.forEach((name, value) => {
    const lower = name.toLowerCase()
    if (isOurs(lower)) return
    names.push(name)
    encoder.field(lower, value, false)
  })
  if (names.length !== 0) encoder.field(NAMES, names.join(','), false)
}

function encodeCarried(encoder: Encoder, head: Http1Head, first: string, shapes: Shapes): void {
  head.settleTrace()
  const { sent, sentAdded, text } = shapes.of(head, first)
  const { count, added, addedEnd } = head
  for (let i = 0; i < count; i++) {
    const name = sent[i]!
    if (name !== '') encoder.field(name, head.value(i), false)
  }
  for (let i = 0; i < addedEnd; i += 2) {
    const name = sentAdded[i >> 1]!
    if (name !== '') encoder.field(name, added[i + 1]!, false)
  }
  if (head.takesTrailers) encoder.field('te', 'trailers', false)
  encoder.field(NAMES, text, false)
}

/** What only sidecars say to each other: never passed on for an application. */
function isOurs(lowerCase: string): boolean {
  return lowerCase === NAMES || lowerCase === REASON || lowerCase === FAILURE || lowerCase === SOURCE
}

/** Fields of one connection only, as in serialize.ts. */
const DROPPED = new Set([CONNECTION, KEEP_ALIVE, PROXY_CONNECTION, TE, UPGRADE, HTTP2_SETTINGS, REMOVED])
/** HTTP/2 has another place for them; their names go all the same. */
const ELSEWHERE = new Set([HOST_FIELD, TRANSFER_ENCODING])

/**
 * The names of a head, and what is made of them. Heads of one caller have the same names nearly always, so it is made
 * once and then only compared.
 */
class Shape {
  /** In lower case, by field; empty: not sent. */
  readonly sent: string[] = []
  readonly sentAdded: string[] = []
  text = ''
  readonly #first: string
  readonly #ids: Uint8Array
  /** Where each name ends in `#bytes`. */
  readonly #ends: Int32Array
  readonly #bytes: Buffer
  readonly #added: string[]
  readonly #takesTrailers: boolean

  constructor(head: Http1Head, first: string) {
    const { count, bytes, fields } = head
    const names: string[] = []
    const written = first === '' ? [] : [first]
    this.#first = first
    this.#ids = head.ids.slice(0, count)
    this.#ends = new Int32Array(count)
    for (let i = 0; i < count; i++) {
      const id = head.ids[i]!
      const name = bytes.latin1Slice(fields[i << 2]!, fields[(i << 2) + 1]!)
      const lower = name.toLowerCase()
      names.push(name)
      this.#ends[i] = (i === 0 ? 0 : this.#ends[i - 1]!) + name.length
      const isDropped = DROPPED.has(id) || isOurs(lower) || (id === HOST_FIELD && first === HOST_FIRST)
      this.sent.push(isDropped || ELSEWHERE.has(id) ? '' : lower)
      if (!isDropped) written.push(name)
    }
    this.#bytes = Buffer.from(names.join(''), 'latin1')
    this.#added = head.added.filter((_, i) => i % 2 === 0 && i < head.addedEnd)
    this.sentAdded = [...this.#added]
    this.#takesTrailers = head.takesTrailers
    const anew = head.codingAnew && first !== CODING_FIRST ? [CODING_FIRST] : []
    this.text = [...written, ...this.#added, ...anew, ...(head.takesTrailers ? ['te'] : [])].join(',')
  }

  isOf(head: Http1Head, first: string): boolean {
    const { count, ids, fields, bytes, added, addedEnd } = head
    if (
      count !== this.#ids.length ||
      addedEnd !== this.#added.length * 2 ||
      first !== this.#first ||
      head.takesTrailers !== this.#takesTrailers
    )
      return false
    const mine = this.#bytes
    let at = 0
    for (let i = 0; i < count; i++) {
      const end = this.#ends[i]!
      let from = fields[i << 2]!
      if (ids[i] !== this.#ids[i] || fields[(i << 2) + 1]! - from !== end - at) return false
      while (at < end) if (bytes[from++] !== mine[at++]) return false
    }
    for (let i = 0; i < addedEnd; i += 2) if (added[i] !== this.#added[i >> 1]) return false
    return true
  }
}

const KEPT_SHAPES = 16
/** A head with more is seldom seen twice, and not worth the memory. */
const MAX_KEPT_FIELDS = 64

/** The shapes seen last on this thread. */
class Shapes {
  readonly #kept: Shape[] = []
  #at = 0
  #last: Shape | null = null

  of(head: Http1Head, first: string): Shape {
    if (this.#last?.isOf(head, first) === true) return this.#last
    for (let i = 0; i < this.#kept.length; i++) {
      const shape = this.#kept[i]!
      if (!shape.isOf(head, first)) continue
      this.#last = shape
      return shape
    }
    const shape = new Shape(head, first)
    if (head.count > MAX_KEPT_FIELDS) return shape
    this.#kept[this.#at] = shape
    this.#at = (this.#at + 1) % KEPT_SHAPES
    this.#last = shape
    return shape
  }
}

const requests = new Shapes()
const responses = new Shapes()
