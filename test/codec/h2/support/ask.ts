import { http2 } from '../../../../proxy/codec/h2/codec.ts'
import type { Http2Options } from '../../../../proxy/codec/h2/options.ts'
import type { UpstreamConnection } from '../../../../proxy/core/codec.ts'
import type { Failure } from '../../../../proxy/core/failure.ts'
import { HeaderList } from '../../../../proxy/core/header-list.ts'
import type { Headers, Receiver, ResponseHead, UpstreamStream } from '../../../../proxy/core/message.ts'
import type { Wire } from '../../../../proxy/core/wire.ts'
import { systemClock } from '../../../../proxy/system/clock.ts'
import { dial } from '../../../../proxy/system/net.ts'
import { systemTurns } from '../../../../proxy/system/turns.ts'
import { responseLimits } from '../../../support/recorder.ts'

export interface Endpoint {
  readonly connection: UpstreamConnection
  readonly log: string[]
}

/** The upstream side of the codec on a real socket. */
export async function connectTo(port: number, options: Partial<Http2Options> = {}): Promise<Endpoint> {
  const { promise, resolve, reject } = Promise.withResolvers<Wire>()
  dial('127.0.0.1', port, { connected: resolve, failed: code => reject(new Error(code)) })
  const wire = await promise
  const log: string[] = []
  const connection = http2(systemClock, options).connect(
    wire,
    {
      released: () => log.push('released'),
      closed: (_connection, idle) => log.push(idle ? 'closed idle' : 'closed busy'),
      idleHint() {},
    },
    { bufferBytes: 1024 * 1024, ...responseLimits },
  )
  return { connection, log }
}

export interface Asked {
  readonly method?: string
  readonly path?: string
  readonly fields?: readonly string[]
  /** Sent piece by piece, as fast as the stream takes it. */
  readonly body?: readonly Buffer[]
  readonly trailers?: readonly string[]
}

export interface Answered {
  readonly status: number
  readonly fields: readonly (readonly [string, string])[]
  readonly body: Buffer
  readonly trailers: readonly (readonly [string, string])[]
  readonly interim: readonly number[]
}

export class Failed extends Error {
  readonly failure: Failure

  constructor(failure: Failure, detail: string) {
    super(`${failure.failure}: ${detail}`)
    this.failure = failure
  }
}

/** One request over an open connection; rejects with `Failed`. `act` gets the stream once the request is out. */
export function ask(
  connection: UpstreamConnection,
  { method = 'GET', path = '/', fields = [], body, trailers }: Asked,
  act?: (stream: UpstreamStream) => void,
): Promise<Answered> {
  const { promise, resolve, reject } = Promise.withResolvers<Answered>()
  systemTurns.enter()
  const stream = connection.open()
  const found = {
    status: 0,
    fields: [] as [string, string][],
    trailers: [] as [string, string][],
    interim: [] as number[],
    chunks: [] as Buffer[],
  }
  let next = 0
  const send = () => {
    while (body !== undefined && next < body.length) {
      const last = next === body.length - 1 && trailers === undefined
      if (!stream.data(body[next++]!, last)) break
    }
    if (body !== undefined && next === body.length && trailers !== undefined) {
      next++
      stream.trailers(new HeaderList([...trailers]))
    }
  }
  const end = () => resolve({ ...found, body: Buffer.concat(found.chunks) })
  const pairs = (headers: Headers, into: [string, string][]) => {
    headers.forEach((name, value) => {
      into.push([name, value])
    })
  }
  const receiver: Receiver<ResponseHead> = {
    head(head, isEnd) {
      if (head.status < 200) {
        found.interim.push(head.status)
        return
      }
      found.status = head.status
      pairs(head.headers, found.fields)
      if (isEnd) end()
    },
    data(chunk, isEnd) {
      found.chunks.push(Buffer.from(chunk))
      if (isEnd) end()
      return true
    },
    trailers(headers) {
      pairs(headers, found.trailers)
      end()
    },
    reset: (failure, detail) => reject(new Failed(failure, detail)),
    writable: send,
  }
  stream.receiver = receiver
  stream.head(
    { method, scheme: 'http', authority: 'orders', path, upgrade: '', headers: new HeaderList([...fields]) },
    body === undefined,
  )
  send()
  act?.(stream)
  systemTurns.leave()
  return promise
}
