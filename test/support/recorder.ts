import type { Clock } from '../../proxy/core/clock.ts'
import type { Codec, DownstreamOptions } from '../../proxy/core/codec.ts'
import type { Failure } from '../../proxy/core/failure.ts'
import { HeaderList } from '../../proxy/core/header-list.ts'
import type { DownstreamStream, Headers, Receiver, RequestHead, ResponseHead } from '../../proxy/core/message.ts'
import { CONNECT } from '../../proxy/core/tunnel.ts'
import { TapeWire } from './tape-wire.ts'

/** Time that stands still, for tests without timers. */
export const stillClock: Clock = { now: () => 1, wallTime: () => 1, timer: () => ({ arm() {}, cancel() {} }) }

export const requestLimits = { maxHeaders: 100, maxHeadBytes: 61_440, maxTargetBytes: 16_384, maxStreams: 256 }
export const responseLimits = { maxHeaders: 200, maxHeadBytes: 131_072 }

export interface Recording {
  readonly events: readonly string[]
  /** How the connection was closed; empty: it is still open. */
  readonly closing: string
  readonly written: string
}

/**
 * The events of a codec for a message, as lines. Adjacent pieces of a body are one line, so that the lines do not
 * depend on how the bytes were cut.
 */
class Lines {
  readonly lines: string[] = []
  #body: Buffer[] = []

  add(...lines: string[]): void {
    this.flush()
    this.lines.push(...lines)
  }

  body(chunk: Buffer): void {
    if (chunk.length !== 0) this.#body.push(Buffer.from(chunk))
  }

  fields(prefix: string, headers: Headers): void {
    headers.forEach((name, value) => {
      this.add(`${prefix}${name}: ${value}`)
    })
  }

  /** A body that breaks off: how much of it came before depends on how the bytes were cut. */
  brokeOff(line: string): void {
    this.#body = []
    this.lines.push(line)
  }

  flush(): void {
    if (this.#body.length === 0) return
    const body = Buffer.concat(this.#body).toString('latin1')
    this.#body = []
    this.lines.push(body.length > 200 ? `data ${body.length} bytes` : `data ${JSON.stringify(body)}`)
  }
}

/** The words of a detail, without the section it names. */
function reason(detail: string): string {
  return detail.replace(/ \(RFC.*\)$/, '')
}

/**
 * Plays the bytes of a caller to a codec, one read a chunk. Each request is answered with 204 as it ends, so that the
 * next one can begin; one for a tunnel gets it.
 */
export function playRequests(
  codec: Codec,
  chunks: readonly Buffer[],
  end: boolean,
  limits: Partial<typeof requestLimits> = {},
): Recording {
  const wire = new TapeWire()
  const lines = new Lines()
  const options: DownstreamOptions = {
    ...requestLimits,
    ...limits,
    headTimeoutMs: 0,
    bodyTimeoutMs: 0,
    idleTimeoutMs: 0,
    onRefused: ({ failure, detail }) => lines.add(`refused ${failure.httpStatus}: ${reason(detail)}`),
    onClosed: () => {},
  }
  codec.serve(
    wire,
    stream => {
      stream.receiver = recorder(stream, lines)
    },
    options,
    stillClock,
  )
  for (const chunk of chunks) wire.feed(chunk)
  if (end) wire.feedEnd()
  lines.flush()
  return { events: lines.lines, closing: wire.closing, written: wire.written }
}

function recorder(stream: DownstreamStream, lines: Lines): Receiver<RequestHead> {
  const answer = (status: number) =>
    stream.head({ status, headers: new HeaderList(status === 204 ? [] : ['content-length', '0']) }, true)
  let asked = ''
  let isTunnel = false
  const ended = () => {
    if (asked !== '' && !isTunnel) {
      isTunnel = true
      return stream.head({ status: asked === CONNECT ? 200 : 101, headers: new HeaderList() }, false)
    }
    lines.add('end')
    if (isTunnel) stream.data(Buffer.alloc(0), true)
    else answer(204)
  }
  return {
    head(head, end) {
      lines.add(`request ${head.method} ${head.authority === '' ? '-' : head.authority} ${head.path}`)
      lines.fields('', head.headers)
      if (head.upgrade !== '') {
        asked = head.upgrade
        lines.add(`asks for ${head.upgrade}`)
      }
      if (end) ended()
    },
    data(chunk, end) {
      lines.body(chunk)
      if (end) ended()
      return true
    },
    trailers(trailers) {
      lines.fields('trailer ', trailers)
      ended()
    },
    reset(failure: Failure, detail: string) {
      lines.brokeOff(`reset ${failure.httpStatus}: ${reason(detail)}`)
      answer(failure.httpStatus)
    },
    writable() {},
  }
}

/** Plays the bytes of an endpoint to a codec that waits for the answer to one request. */
export function playResponse(
  codec: Codec,
  method: string,
  chunks: readonly Buffer[],
  end: boolean,
  limits: Partial<typeof responseLimits> = {},
): Recording {
  const wire = new TapeWire()
  const lines = new Lines()
  const ends: string[] = []
  const connection = codec.connect(
    wire,
    {
      released: () => lines.add('reusable'),
      closed: () => ends.push('closed'),
      idleHint: ms => lines.add(`idle hint ${ms} ms`),
    },
    { bufferBytes: 1024 * 1024, ...responseLimits, ...limits },
  )
  const stream = connection.open()
  const receiver: Receiver<ResponseHead> = {
    head(head, ended) {
      lines.add(`${head.status < 200 ? 'interim' : 'response'} ${head.status}`)
      lines.fields('', head.headers)
      if (ended) lines.add('end')
    },
    data(chunk, ended) {
      lines.body(chunk)
      if (ended) lines.add('end')
      return true
    },
    trailers(trailers) {
      lines.fields('trailer ', trailers)
      lines.add('end')
    },
    reset: (failure, detail) => lines.brokeOff(`reset ${failure.flag}: ${reason(detail)}`),
    writable() {},
  }
  stream.receiver = receiver
  stream.head({ method, scheme: 'http', authority: 'orders', path: '/', upgrade: '', headers: new HeaderList() }, true)
  const sent = wire.written
  for (const chunk of chunks) wire.feed(chunk)
  if (end) wire.feedEnd()
  lines.add(...ends)
  if (wire.written !== sent) throw new Error('something was written to the endpoint while it answered')
  return { events: lines.lines, closing: wire.closing, written: wire.written }
}
