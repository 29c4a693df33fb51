import type { Clock } from '../core/clock.ts'
import type { Codec, UpstreamConnection } from '../core/codec.ts'
import type { Failure } from '../core/failure.ts'
import { HeaderList } from '../core/header-list.ts'
import type { Headers, RequestHead, ResponseHead, UpstreamStream } from '../core/message.ts'
import type { Wire } from '../core/wire.ts'
import { GrpcMessages, grpcMessage, type MessageSinks } from './grpc-messages.ts'

/** How a gRPC call ended: its status (14 where the connection ended), and a line for people. */
export interface CallEnd {
  readonly status: number
  readonly detail: string
}

export interface StreamHandler extends MessageSinks {
  /** It may be written to again. */
  writable(): void
  /** Once, the last call. */
  ended(end: CallEnd): void
}

/** A call that goes on: a message is written whenever there is one. */
export interface OpenStream {
  /** False: no more until `writable`. What was given is kept and sent. */
  write(message: Uint8Array): boolean
  /** Nothing is read until `resume`, and the agent is held up after some hundred KiB. */
  pause(): void
  resume(): void
  cancel(): void
}

/** One HTTP/2 connection to an agent. */
export interface AgentConnection {
  stream(path: string, mostBytes: number, handler: StreamHandler): OpenStream
  /** False: too much runs already. `done` is called once, later. */
  call(path: string, message: Uint8Array, done: (end: CallEnd) => void): boolean
  close(): void
}

export interface ConnectionDeps {
  readonly codec: Pick<Codec, 'connect'>
  readonly clock: Clock
  /** `outrigger/1.2.3` */
  readonly userAgent: string
  /** It is gone; not called after `close`. */
  readonly closed: () => void
}

const UNAVAILABLE = 14
const DEADLINE_EXCEEDED = 4
const UNKNOWN = 2
/** Calls at once, and bytes of them. */
const MOST_CALLS = 8
const MOST_CALL_BYTES = 2 * 1024 * 1024
const CALL_MS = 10_000
/** Of one direction; a quarter is the watermark. */
const BUFFER_BYTES = 1024 * 1024
/** An agent that hangs is found by this: PING after so long without a byte. */
const KEEP_ALIVE_MS = 10_000

export function agentConnection(wire: Wire, { codec, clock, userAgent, closed }: ConnectionDeps): AgentConnection {
  let isClosed = false
  let calls = 0
  let callBytes = 0
  const connection: UpstreamConnection = codec.connect(
    wire,
    {
      released() {},
      closed() {
        if (!isClosed) closed()
        isClosed = true
      },
      idleHint() {},
    },
    { bufferBytes: BUFFER_BYTES, keepAliveMs: KEEP_ALIVE_MS, maxHeaders: 100, maxHeadBytes: 32 * 1024 },
  )

  function open(path: string): UpstreamStream {
    const stream = connection.open()
    const fields = ['content-type', 'application/grpc', 'te', 'trailers', 'user-agent', userAgent]
    const head: RequestHead = {
      method: 'POST',
      scheme: 'http',
      authority: 'localhost',
      path,
      upgrade: '',
      headers: new HeaderList(fields),
    }
    stream.head(head, false)
    return stream
  }

  return {
    stream(path, mostBytes, handler) {
      const stream = open(path)
      const messages = new GrpcMessages(mostBytes, handler)
      const end = endOnce(handler.ended)
      stream.receiver = {
        head: (head, last) => answerHead(head, last, end),
        data(chunk, last) {
          const problem = messages.read(chunk)
          if (problem !== '') {
            end({ status: UNKNOWN, detail: problem })
            stream.reset(NO_FAILURE, '')
          } else if (last) end({ status: UNKNOWN, detail: 'the answer ended without a gRPC status' })
          return true
        },
        trailers: trailers => end(statusOf(trailers)),
        reset: (failure, detail) => end({ status: UNAVAILABLE, detail: detail || failure.reason }),
        writable: handler.writable,
      }
      return {
        write: message => stream.data(grpcMessage(message), false),
        pause: () => stream.pause(),
        resume: () => stream.resume(),
        cancel() {
          end.silence()
          stream.reset(NO_FAILURE, '')
        },
      }
    },
    call(path, message, done) {
      const bytes = message.length
      if (isClosed || calls >= MOST_CALLS || callBytes + bytes > MOST_CALL_BYTES || connection.capacity <= 0)
        return false
      calls++
      callBytes += bytes
      const stream = open(path)
      const late = clock.timer(() => {
        end({ status: DEADLINE_EXCEEDED, detail: `no answer within ${CALL_MS} ms` })
        stream.reset(NO_FAILURE, '')
      })
      const end = endOnce(ended => {
        late.cancel()
        calls--
        callBytes -= bytes
        done(ended)
      })
      stream.receiver = {
        head: (head, last) => answerHead(head, last, end),
        data(_chunk, last) {
          if (last) end({ status: UNKNOWN, detail: 'the answer ended without a gRPC status' })
          return true
        },
        trailers: trailers => end(statusOf(trailers)),
        reset: (failure, detail) => end({ status: UNAVAILABLE, detail: detail || failure.reason }),
        writable() {},
      }
      late.arm(CALL_MS)
      stream.data(grpcMessage(message), true)
      return true
    },
    close() {
      if (isClosed) return
      isClosed = true
      connection.destroy()
    },
  }
}

/** The codec takes it for a cancel, whatever it says. */
const NO_FAILURE = {} as Failure

function endOnce(ended: (end: CallEnd) => void): ((end: CallEnd) => void) & { silence(): void } {
  let isOver = false
  const end = (how: CallEnd) => {
    if (isOver) return
    isOver = true
    ended(how)
  }
  return Object.assign(end, {
    silence() {
      isOver = true
    },
  })
}

function answerHead({ status, headers }: ResponseHead, last: boolean, end: (how: CallEnd) => void): void {
  if (status < 200) return
  if (status !== 200) end({ status: UNAVAILABLE, detail: `HTTP status ${status}, and no gRPC` })
  // "Trailers-Only": a call that was refused at once.
  else if (last) end(statusOf(headers))
}

function statusOf(headers: Headers): CallEnd {
  const status = Number(headers.get('grpc-status') ?? UNKNOWN)
  return { status: Number.isInteger(status) ? status : UNKNOWN, detail: decoded(headers.get('grpc-message') ?? '') }
}

/** A grpc-message is percent-encoded UTF-8; a malformed one is shown as it came. */
function decoded(message: string): string {
  try {
    return decodeURIComponent(message)
  } catch {
    return message
  }
}
