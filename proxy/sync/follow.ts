import type { Clock } from '../core/clock.ts'
import { ProtoWriter } from '../core/protobuf.ts'
import type { AgentConnection, CallEnd } from './connection.ts'
import {
  type Hello,
  headOfUpdate,
  readFromAgent,
  type Update,
  type Wanted,
  type Welcome,
  writeAnswer,
  writeHello,
  writeSubscribe,
  writeSummary,
} from './messages.ts'

export type FollowEnd =
  /** The agent does not want to talk with this proxy: a person has to do something. */
  { readonly kind: 'refused'; readonly reason: string } | { readonly kind: 'lost'; readonly reason: string }

export interface Following {
  readonly hello: () => Hello
  readonly wanted: () => readonly Wanted[]
  /** What this proxy counted since the last time, as an encoded Summary; null: nothing to say. Asked every second. */
  readonly summary: () => Uint8Array | null
  readonly update: (update: Update) => void
  /** It was too long to be read, and is not in force. */
  readonly tooLong: (update: { readonly service: string; readonly version: string }, bytes: number) => void
  readonly welcomed: (welcome: Welcome) => void
  /** Once, the last call. */
  readonly ended: (end: FollowEnd) => void
  readonly clock: Clock
}

/** One Follow stream, as long as it lasts. */
export interface Follow {
  resubscribe(): void
  answer(service: string, version: string, reasons: readonly string[]): void
  pause(): void
  resume(): void
}

/** Of agent/sync/sync.proto. */
const FOLLOW = '/outrigger.agent.v1.Sync/Follow'
/** The format of ServiceSpec that this proxy reads (mesh-config/service-spec.ts). */
export const FORMATS: readonly number[] = [1]
/** As gRPC's own default for what is received: a compiled policy is some KiB. */
export const MOST_MESSAGE_BYTES = 4 * 1024 * 1024
const SUMMARY_MS = 1_000
const MOST_REASON = 2_000

const UNIMPLEMENTED = 12
const PERMISSION_DENIED = 7
const UNAUTHENTICATED = 16

export function followAgent(connection: AgentConnection, following: Following): Follow {
  const writer = new ProtoWriter(1024, MOST_MESSAGE_BYTES)
  /** What waits for the stream to take more: never more than one subscription, and one answer for each service. */
  let wantsSubscribe = true
  const answers = new Map<string, { readonly version: string; readonly reasons: readonly string[] }>()
  let mayWrite = true
  let isWelcome = false
  let isOver = false

  function end(how: FollowEnd): void {
    if (isOver) return
    isOver = true
    timer.cancel()
    following.ended(how)
  }

  function give(up: FollowEnd): void {
    stream.cancel()
    end(up)
  }

  function send(): void {
    if (writer.isFull)
      // Only a subscription can be so long.
      return give({ kind: 'refused', reason: 'the services: of this sidecar are longer than one message may be' })
    mayWrite = stream.write(writer.view())
    writer.clear()
  }

  function flush(): void {
    if (isOver || !mayWrite) return
    if (wantsSubscribe) {
      wantsSubscribe = false
      writeSubscribe(writer, following.wanted())
      send()
    }
    for (const [service, { version, reasons }] of answers) {
      if (isOver || !mayWrite) return
      answers.delete(service)
      writeAnswer(writer, service, version, reasons)
      send()
    }
  }

  function take(bytes: Buffer): void {
    if (isOver) return
    const message = readFromAgent(bytes)
    if (typeof message === 'string') return give({ kind: 'refused', reason: `a malformed message: ${message}` })
    if (message.kind === 'refusal') return give({ kind: 'refused', reason: message.reason })
    if (message.kind === 'welcome') {
      const { welcome } = message
      if (!FORMATS.includes(welcome.format))
        return give({ kind: 'refused', reason: `it sends format ${welcome.format}, and this proxy reads ${FORMATS}` })
      isWelcome = true
      return following.welcomed(welcome)
    }
    if (message.kind !== 'update') return
    if (!isWelcome) return give({ kind: 'refused', reason: 'an update before its greeting' })
    following.update(message.update)
  }

  const stream = connection.stream(FOLLOW, MOST_MESSAGE_BYTES, {
    message: take,
    tooLong(bytes, beginning) {
      const update = headOfUpdate(beginning)
      if (update === null) give({ kind: 'refused', reason: `a message of ${bytes} bytes` })
      else following.tooLong(update, bytes)
    },
    writable() {
      mayWrite = true
      flush()
    },
    ended: how => end(kindOf(how)),
  })

  function tell(): void {
    timer.arm(SUMMARY_MS)
    // An agent that reads nothing gets nothing more.
    if (!mayWrite || !isWelcome) return
    const summary = following.summary()
    if (summary === null) return
    writeSummary(writer, summary)
    if (writer.isFull) writer.clear()
    else send()
  }
  const timer = following.clock.timer(tell)
  timer.arm(SUMMARY_MS)

  writeHello(writer, following.hello())
  send()
  flush()

  return {
    resubscribe() {
      wantsSubscribe = true
      flush()
    },
    answer(service, version, reasons) {
      answers.set(service, { version, reasons: reasons.map(reason => reason.slice(0, MOST_REASON)) })
      flush()
    },
    pause: () => stream.pause(),
    resume: () => stream.resume(),
  }
}

function kindOf({ status, detail }: CallEnd): FollowEnd {
  if (status === UNIMPLEMENTED) return { kind: 'refused', reason: 'it is no agent of Outrigger, or of another version' }
  if (status === PERMISSION_DENIED || status === UNAUTHENTICATED) return { kind: 'refused', reason: detail }
  return { kind: 'lost', reason: status === 0 ? 'the agent has ended the stream' : detail || `gRPC status ${status}` }
}
