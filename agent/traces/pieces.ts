import type { Enrich } from './enrich.ts'
import { resourceSpans } from './messages.ts'
import type { Keep } from './sampling.ts'
import { checkMessage, DELIMITED, delimited, Fields, Malformed, varintLength } from './wire.ts'

/**
 * One `resource_spans` field of a request, with its tag: requests are made by putting such fields one after the other.
 * What comes in is cut into pieces no larger than a batch, so that one sender's request never has to be taken whole.
 */
export interface Piece {
  readonly bytes: Buffer
  readonly spans: number
}

export interface Taken {
  readonly pieces: readonly Piece[]
  /** Spans that are in them, and all that came. */
  readonly kept: number
  readonly received: number
  /** Spans that no collector would take, and what is wrong with the first of them. */
  readonly invalid: number
  readonly wrong: string | null
}

/** A piece is closed when it has so many bytes, and no span or resource may be longer. */
export const PIECE_BYTES = 512 * 1024
const MAX_RESOURCE_BYTES = 64 * 1024
/** Resources, scopes, spans and fields beside them in one request: applications send 512 spans, collectors 8,192. */
const MAX_PARTS = 100_000

export interface TakeOptions {
  readonly enrich: Enrich
  readonly keep: Keep
}

/** Throws `Malformed` where it is no ExportTraceServiceRequest: then none of it is taken. */
export function takeRequest(request: Buffer, options: TakeOptions): Taken {
  // All of it before any of it: nothing is counted or drawn for a request that is refused.
  const parts: { readonly from: number; readonly end: number }[] = []
  let count = 0
  const fields = new Fields(request)
  while (fields.next()) {
    if (fields.number !== 1) continue
    if (fields.wire !== DELIMITED) throw new Malformed('resource_spans is written as something else')
    checkMessage(resourceSpans, request, fields.from, fields.end)
    count += partsOf(request, fields.from, fields.end)
    // Of two bytes each, they would keep the agent busy for many seconds.
    if (count > MAX_PARTS) throw new Malformed(`it has more than ${MAX_PARTS} spans, scopes and resources: send fewer`)
    parts.push({ from: fields.from, end: fields.end })
  }
  const cutter = new Cutter(request, options)
  for (const { from, end } of parts) cutter.resourceSpans(from, end)
  return cutter
}

/** Of one resource_spans, itself included. */
function partsOf(request: Buffer, from: number, end: number): number {
  let count = 1
  const fields = new Fields(request, from, end)
  while (fields.next()) {
    count++
    if (fields.number !== 2) continue
    const inner = new Fields(request, fields.from, fields.end)
    while (inner.next()) count++
  }
  return count
}

class Cutter implements Taken {
  readonly pieces: Piece[] = []
  kept = 0
  received = 0
  invalid = 0
  wrong: string | null = null

  readonly #bytes: Buffer
  readonly #options: TakeOptions
  /** Of the piece that grows: the fields before its scopes, its finished scopes, and how long all of it is. */
  #head: Buffer[] = []
  #scopes: Buffer[] = []
  #length = 0
  #spans = 0
  /** Of the scope that grows. */
  #scopeHead: Buffer[] = []
  #scopeHeadBytes = 0
  #scopeSpans: Buffer[] = []
  #runFrom = 0
  #runEnd = 0

  constructor(bytes: Buffer, options: TakeOptions) {
    this.#bytes = bytes
    this.#options = options
  }

  resourceSpans(from: number, end: number): void {
    const resource: Buffer[] = []
    const others: Buffer[] = []
    const scopes: { readonly from: number; readonly end: number }[] = []
    const fields = new Fields(this.#bytes, from, end)
    while (fields.next()) {
      // A field that is not repeated and comes twice is merged, by the rules of protobuf.
      if (fields.number === 1) resource.push(this.#bytes.subarray(fields.from, fields.end))
      else if (fields.number === 2) scopes.push({ from: fields.from, end: fields.end })
      else others.push(this.#bytes.subarray(fields.start, fields.end))
    }
    const head = others.reduce((sum, part) => sum + part.length, 0)
    const tooLong = resource.reduce((sum, part) => sum + part.length, head) > MAX_RESOURCE_BYTES
    const { service, extra } = this.#options.enrich(resource)
    this.#head = [delimited(1, extra === null ? resource : [...resource, extra]), ...others]
    const keep = this.#options.keep.of(service)
    for (const scope of scopes) this.#scope(scope.from, scope.end, keep, tooLong)
    this.#endPiece()
  }

  #scope(from: number, end: number, keep: (trace: number, failed: boolean) => boolean, tooLong: boolean): void {
    this.#scopeHead = []
    const spans = new Fields(this.#bytes, from, end)
    // What is said of the scope may stand behind its spans.
    const before = new Fields(this.#bytes, from, end)
    this.#scopeHeadBytes = 0
    while (before.next())
      if (before.number !== 2) {
        this.#scopeHead.push(this.#bytes.subarray(before.start, before.end))
        this.#scopeHeadBytes += before.end - before.start
      }
    const scopeTooLong = tooLong || this.#scopeHeadBytes > MAX_RESOURCE_BYTES
    this.#length += this.#scopeHeadBytes
    while (spans.next()) {
      if (spans.number !== 2) continue
      this.received++
      const wrong = scopeTooLong
        ? `its resource or scope is longer than ${MAX_RESOURCE_BYTES} bytes`
        : this.#look(spans.from, spans.end)
      if (wrong !== null) this.#refuse(wrong)
      else if (keep(this.#trace, this.#failed)) this.#add(spans.start, spans.end)
    }
    this.#endScope()
  }

  #trace = 0
  #failed = false

  /** What decides about a span; a text: why it is none. */
  #look(from: number, end: number): string | null {
    if (end - from > PIECE_BYTES) return `it is longer than ${PIECE_BYTES} bytes`
    let traceId = false
    let spanId = false
    this.#failed = false
    const fields = new Fields(this.#bytes, from, end)
    while (fields.next()) {
      if (fields.number === 1) {
        traceId = isId(this.#bytes, fields.from, fields.end, 16)
        // OpenTelemetry's consistent sampling: the last 56 bits are random (W3C Trace Context 2). The first 48 of them
        // are a number that a double holds.
        this.#trace = traceId ? this.#bytes.readUIntBE(fields.end - 7, 6) : 0
      } else if (fields.number === 2) spanId = isId(this.#bytes, fields.from, fields.end, 8)
      else if (fields.number === 15) this.#failed = isError(this.#bytes, fields.from, fields.end)
    }
    if (!traceId) return 'its trace id is not 16 bytes, or 0'
    return spanId ? null : 'its span id is not 8 bytes, or 0'
  }

  #refuse(wrong: string): void {
    this.invalid++
    this.wrong ??= wrong
  }

  /** Spans that stand one behind the other are copied in one go. */
  #add(start: number, end: number): void {
    if (this.#length + (end - start) > PIECE_BYTES && this.#spans > 0) {
      this.#endScope()
      this.#endPiece()
      this.#length = this.#scopeHeadBytes
    }
    if (this.#runEnd === start && this.#runEnd > this.#runFrom) this.#runEnd = end
    else {
      this.#endRun()
      this.#runFrom = start
      this.#runEnd = end
    }
    this.#length += end - start
    this.#spans++
    this.kept++
  }

  #endRun(): void {
    if (this.#runEnd > this.#runFrom) this.#scopeSpans.push(this.#bytes.subarray(this.#runFrom, this.#runEnd))
    this.#runFrom = 0
    this.#runEnd = 0
  }

  #endScope(): void {
    this.#endRun()
    if (this.#scopeSpans.length === 0) return
    this.#scopes.push(...scopeField([...this.#scopeHead, ...this.#scopeSpans]))
    this.#scopeSpans = []
  }

  #endPiece(): void {
    if (this.#spans > 0) this.pieces.push({ bytes: delimited(1, [...this.#head, ...this.#scopes]), spans: this.#spans })
    this.#scopes = []
    this.#length = 0
    this.#spans = 0
  }
}

/** The tag and length of a scope_spans field, and its parts: they are copied once, when the piece is closed. */
function scopeField(parts: readonly Buffer[]): Buffer[] {
  let length = 0
  for (const part of parts) length += part.length
  const head = Buffer.allocUnsafe(1 + varintLength(length))
  head[0] = 2 * 8 + DELIMITED
  let rest = length
  let at = 1
  for (; rest >= 0x80; rest = Math.floor(rest / 128)) head[at++] = (rest % 128) | 0x80
  head[at] = rest
  return [head, ...parts]
}

function isId(bytes: Buffer, from: number, end: number, length: number): boolean {
  if (end - from !== length) return false
  for (let at = from; at < end; at++) if (bytes[at] !== 0) return true
  return false
}

/** Status.code = STATUS_CODE_ERROR. */
function isError(bytes: Buffer, from: number, end: number): boolean {
  const fields = new Fields(bytes, from, end)
  let code = 0
  while (fields.next()) if (fields.number === 3) code = fields.value
  return code === 2
}
