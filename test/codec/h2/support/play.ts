import { http2 } from '../../../../proxy/codec/h2/codec.ts'
import type { Http2Options } from '../../../../proxy/codec/h2/options.ts'
import { PREFACE } from '../../../../proxy/codec/h2/preface.ts'
import { HeaderList } from '../../../../proxy/core/header-list.ts'
import type { DownstreamStream, Headers, Receiver, RequestHead, ResponseHead } from '../../../../proxy/core/message.ts'
import { requestLimits, responseLimits, stillClock } from '../../../support/recorder.ts'
import { TapeWire } from '../../../support/tape-wire.ts'
import { linesOf } from './frames.ts'

export interface Played {
  /** What was delivered, stream by stream: how streams lie between each other depends on how the bytes were cut. */
  readonly events: readonly string[]
  /** Frames that were written, less those every connection begins with. */
  readonly sent: readonly string[]
  readonly closing: string
}

/** The events of each stream by itself, body pieces that follow each other as one line. */
class Events {
  readonly #streams = new Map<object, { lines: string[]; body: Buffer[] }>()
  readonly connection: string[] = []

  of(stream: object): { lines: string[]; body: Buffer[] } {
    let found = this.#streams.get(stream)
    if (found === undefined) {
      found = { lines: [], body: [] }
      this.#streams.set(stream, found)
    }
    return found
  }

  add(stream: object, ...lines: string[]): void {
    this.flush(stream)
    this.of(stream).lines.push(...lines)
  }

  flush(stream: object): void {
    const found = this.of(stream)
    if (found.body.length === 0) return
    const body = Buffer.concat(found.body).toString('latin1')
    found.body = []
    found.lines.push(body.length > 200 ? `data ${body.length} bytes` : `data ${JSON.stringify(body)}`)
  }

  brokeOff(stream: object, line: string): void {
    this.of(stream).body = []
    this.add(stream, line)
  }

  get all(): string[] {
    for (const stream of this.#streams.keys()) this.flush(stream)
    return [...[...this.#streams.values()].flatMap(({ lines }) => lines), ...this.connection]
  }
}

const reason = (detail: string) => detail.replace(/ \(RFC.*\)$/, '')

function recorder<Head extends RequestHead | ResponseHead>(
  stream: object,
  events: Events,
  begin: (head: Head) => string,
  ended: () => void,
): Receiver<Head> {
  const fields = (prefix: string, headers: Headers) =>
    headers.forEach((name, value) => {
      events.add(stream, `${prefix}${name}: ${value}`)
    })
  const end = () => {
    events.add(stream, 'end')
    ended()
  }
  return {
    head(head, isEnd) {
      events.add(stream, begin(head))
      fields('', head.headers)
      if (isEnd && !('upgrade' in head && head.upgrade !== '')) end()
    },
    data(chunk, isEnd) {
      if (chunk.length !== 0) events.of(stream).body.push(Buffer.from(chunk))
      if (isEnd) end()
      return true
    },
    trailers(trailers) {
      fields('trailer ', trailers)
      end()
    },
    reset(failure, detail) {
      events.brokeOff(stream, `reset ${failure.failure}: ${reason(detail)}`)
    },
    writable() {},
  }
}

/** Plays what a caller sends. Each request is answered with 204 when it is whole. */
export function playCaller(
  chunks: readonly Buffer[],
  end: boolean,
  options: Partial<Http2Options> = {},
  limits: Partial<typeof requestLimits> = {},
): Played {
  const wire = new TapeWire()
  const events = new Events()
  http2(stillClock, options).serve(
    wire,
    (stream: DownstreamStream) => {
      stream.receiver = recorder<RequestHead>(
        stream,
        events,
        head => `request ${head.method} ${head.authority} ${head.path}${head.upgrade === '' ? '' : ` ${head.upgrade}`}`,
        () => stream.head({ status: 204, headers: new HeaderList() }, true),
      )
    },
    {
      ...requestLimits,
      ...limits,
      headTimeoutMs: 0,
      bodyTimeoutMs: 0,
      idleTimeoutMs: 0,
      onRefused: ({ failure, detail }) => events.connection.push(`refused ${failure.httpStatus}: ${reason(detail)}`),
      onClosed: () => {},
    },
    stillClock,
  )
  for (const chunk of chunks) wire.feed(chunk)
  if (end) wire.feedEnd()
  return { events: events.all, sent: linesOf(Buffer.concat(wire.writes)), closing: wire.closing }
}

/** Plays what an endpoint sends to `count` requests, the first of which is stream 1. */
export function playEndpoint(
  method: string,
  count: number,
  chunks: readonly Buffer[],
  end: boolean,
  limits: Partial<typeof responseLimits> = {},
): Played {
  const wire = new TapeWire()
  const events = new Events()
  const connection = http2(stillClock).connect(
    wire,
    {
      released() {},
      closed: (_connection, idle) => events.connection.push(idle ? 'closed idle' : 'closed busy'),
      idleHint() {},
    },
    { bufferBytes: 1024 * 1024, ...responseLimits, ...limits },
  )
  const upload = method === 'POST'
  for (let i = 0; i < count; i++) {
    const stream = connection.open()
    stream.receiver = recorder<ResponseHead>(
      {},
      events,
      head => `${head.status < 200 ? 'interim' : 'response'} ${head.status}`,
      () => {},
    )
    stream.head(
      { method, scheme: 'http', authority: 'orders', path: '/', upgrade: '', headers: new HeaderList() },
      !upload,
    )
  }
  for (const chunk of chunks) wire.feed(chunk)
  if (end) wire.feedEnd()
  const written = Buffer.concat(wire.writes)
  if (!written.subarray(0, PREFACE.length).equals(PREFACE)) throw new Error('no preface')
  const sent = linesOf(written.subarray(PREFACE.length))
  // The requests themselves.
  const answers = sent.findIndex((line, i) => !line.startsWith('  ') && !(line.startsWith('HEADERS') && i < count * 5))
  return { events: events.all, sent: answers < 0 ? [] : sent.slice(answers), closing: wire.closing }
}
