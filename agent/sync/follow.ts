import { constants } from 'node:http2'
import type { Server, ServerDuplexStream, ServiceDefinition } from '@grpc/grpc-js'
import type { Follower, OnSummary } from '../followers.ts'
import type { AgentLog } from '../log.ts'
import type { PolicyBook, WantedPolicy } from '../wanted-policy.ts'
import { type FollowerState, followerState } from './follower.ts'
import { FORMAT, formatTrouble } from './format.ts'
import { intakeOf } from './intake.ts'
import { type FromProxy, type Hello, updateMessage } from './messages.ts'
import { type Outbox, outboxOf } from './outbox.ts'
import { grpcService } from './protos.ts'

/** Proxies of one host. A host has tens; a test has a thousand. */
const MAX_FOLLOWERS = 4_096
/** A stream must say who it is within this time. */
const HELLO_MS = 10_000
const SWEEP_MS = 5_000
/** Proxies that went away are remembered for status. */
const REMEMBER_MS = 10 * 60_000
const MAX_REMEMBERED = 1_000
/** Between two breaths while many proxies are served. */
const BUSY_MS = 20

export interface FollowServer {
  register(server: Server): void
  followers(): readonly Follower[]
  /** How many follow, and how many of them have another version of a policy than they should. */
  connected(): { readonly proxies: number; readonly stale: number }
  /** Ends every stream. */
  close(): void
  readonly counts: FollowCounts
}

export interface FollowCounts {
  connects: number
  refusals: number
  updates: number
  acks: number
  nacks: number
  stalled: number
}

export interface FollowDeps {
  readonly book: PolicyBook
  readonly log: AgentLog
  readonly agent: string
  readonly version: string
  readonly onSummary: OnSummary
  /** A proxy that reads nothing for so long, while something waits for it, is cut off. */
  readonly stalledMs?: number
}

type Call = ServerDuplexStream<FromProxy, object | Buffer>

export function followServer({ book, log, agent, version, onSummary, stalledMs = 30_000 }: FollowDeps): FollowServer {
  const definition = passingBuffers(grpcService('Sync').service)
  const encode = definition.Follow!.responseSerialize
  const encoded = new WeakMap<WantedPolicy, Buffer>()
  const streams = new Map<Call, FollowerState | null>()
  const outboxes = new Map<Call, Outbox>()
  const remembered = new Map<string, Follower>()
  const counts: FollowCounts = { connects: 0, refusals: 0, updates: 0, acks: 0, nacks: 0, stalled: 0 }

  /** One encoded message for all proxies that are to have the same. */
  function update(service: string, policy: WantedPolicy, unchanged: boolean): Buffer {
    counts.updates++
    if (unchanged) return encode({ update: { service, version: policy.version, unchanged: true } })
    // That nothing is known is said of many services, by one object.
    if (policy.spec.length === 0) return encode(updateMessage(service, policy))
    const message = encoded.get(policy) ?? encode(updateMessage(service, policy))
    encoded.set(policy, message)
    return message
  }

  function refuse(call: Call, reason: string): void {
    counts.refusals++
    log.warn('a proxy is refused', { reason })
    call.write({ refusal: { reason } })
    call.end()
    // What it still sends is not heard.
    forget(call)
  }

  /** A long list is sent in slices, and others have their turn between them. */
  function serve(call: Call, state: FollowerState): void {
    if (!state.flush()) setImmediate(() => streams.get(call) === state && serve(call, state))
  }

  function greet(call: Call, hello: Hello): FollowerState | null {
    const trouble = formatTrouble(hello.formats, hello.version, version)
    if (trouble !== null) {
      refuse(call, trouble)
      return null
    }
    call.write({ welcome: { format: FORMAT, agent, version } })
    const outbox = outboxOf(call, () => streams.has(call) && serve(call, state))
    const state = followerState(bounded(hello), {
      book,
      outbox,
      encode: update,
      acked: () => counts.acks++,
      nacked(service, which, reason) {
        counts.nacks++
        if (reason !== null)
          log.warn('a proxy refuses a policy', { proxy: state.hello.proxy, service, version: which, reason })
      },
    })
    outboxes.set(call, outbox)
    counts.connects++
    remembered.delete(state.hello.proxy)
    log.debug('a proxy follows', { proxy: state.hello.proxy })
    return state
  }

  function take(call: Call, { message, hello, subscribe, answer, summary }: FromProxy): void {
    const state = streams.get(call)
    if (state === undefined) return
    if (state === null) {
      if (message !== 'hello') return refuse(call, 'the first message of a proxy is hello')
      const greeted = greet(call, hello!)
      if (greeted !== null) streams.set(call, greeted)
      return
    }
    state.heard()
    if (message === 'subscribe') {
      const reason = state.subscribe(subscribe!.services)
      if (reason !== null) return refuse(call, reason)
      serve(call, state)
    } else if (message === 'answer') state.answer(answer!)
    else if (message === 'summary') onSummary(state.hello, summary)
  }

  function follow(call: Call): void {
    if (streams.size >= MAX_FOLLOWERS) {
      refuse(call, `the agent serves ${MAX_FOLLOWERS} proxies already: run another agent`)
      return
    }
    streams.set(call, null)
    const intake = intakeOf()
    const late = setTimeout(() => streams.get(call) === null && refuse(call, 'the proxy has not said hello'), HELLO_MS)
    call.on('data', (message: FromProxy) => {
      take(call, message)
      const pauseMs = intake.took(performance.now())
      if (pauseMs === 0) return
      call.pause()
      setTimeout(() => call.resume(), pauseMs)
    })
    call.on('end', () => call.end())
    call.on('error', error => log.debug('the stream of a proxy has failed', { reason: error.message }))
    const gone = () => {
      clearTimeout(late)
      forget(call)
    }
    call.on('close', gone)
    call.on('cancelled', gone)
  }

  function forget(call: Call): void {
    const state = streams.get(call)
    streams.delete(call)
    outboxes.delete(call)
    if (state !== null && state !== undefined && !follows(state.hello.proxy)) remember(state.status(false))
  }

  /** While one process takes over from another, two streams are of one proxy. */
  function follows(proxy: string): boolean {
    for (const state of streams.values()) if (state?.hello.proxy === proxy) return true
    return false
  }

  function remember(follower: Follower): void {
    remembered.delete(follower.proxy)
    remembered.set(follower.proxy, follower)
    if (remembered.size > MAX_REMEMBERED) remembered.delete(remembered.keys().next().value!)
  }

  /** Proxies are served one after the other, with breaths between: a thousand take a part of a second. */
  let turn: Promise<void> = Promise.resolve()
  book.onChange(services => {
    turn = turn.then(async () => {
      let since = performance.now()
      for (const [call, state] of streams) {
        if (state === null) continue
        state.review(services)
        serve(call, state)
        if (performance.now() - since < BUSY_MS) continue
        await new Promise(resolve => setImmediate(resolve))
        since = performance.now()
      }
    })
  })

  const sweep = setInterval(
    () => {
      const now = Date.now()
      for (const [call, outbox] of outboxes) {
        const since = outbox.stalledSince()
        if (since === null || now - since < stalledMs) continue
        counts.stalled++
        log.warn('a proxy reads nothing and is cut off', { proxy: streams.get(call)?.hello.proxy ?? '' })
        reset(call)
        forget(call)
      }
      for (const [proxy, { lastWordAt }] of remembered) if (now - lastWordAt > REMEMBER_MS) remembered.delete(proxy)
    },
    Math.min(SWEEP_MS, stalledMs),
  )
  sweep.unref()

  return {
    counts,
    register: server => server.addService(definition, { Follow: follow }),
    followers() {
      // Of two processes of one proxy the later one counts: it has taken over.
      const latest = new Map<string, FollowerState>()
      for (const state of streams.values()) if (state !== null) latest.set(state.hello.proxy, state)
      return [...[...latest.values()].map(state => state.status(true)), ...remembered.values()]
    },
    connected() {
      let proxies = 0
      let stale = 0
      for (const state of streams.values()) {
        if (state === null) continue
        proxies++
        if (state.isStale()) stale++
      }
      return { proxies, stale }
    },
    close() {
      clearInterval(sweep)
      for (const call of streams.keys()) call.end()
    },
  }
}

/**
 * Ends a stream whose proxy does not read. A status would wait behind what is not read, and grpc-js has no other way to
 * end it: its HTTP/2 stream is reached behind its types.
 */
function reset(call: Call): void {
  const { call: inner } = call as unknown as { call?: { stream?: { close?(code: number): void } } }
  inner?.stream?.close?.(constants.NGHTTP2_CANCEL)
  call.destroy()
}

/** Messages that are encoded already are sent as they are. */
function passingBuffers(service: ServiceDefinition): ServiceDefinition {
  const follow = service.Follow!
  const responseSerialize = (value: object | Buffer) =>
    Buffer.isBuffer(value) ? value : follow.responseSerialize(value)
  return { ...service, Follow: { ...follow, responseSerialize } }
}

const MAX_WORD = 300

/** What a proxy says of itself is shown to people and kept: not a book. */
function bounded(hello: Hello): Hello {
  const cut = (text: string) => text.slice(0, MAX_WORD)
  const { formats, pid } = hello
  const { proxy, service, version, host, zone, admin, config } = hello
  return {
    formats,
    pid,
    proxy: cut(proxy),
    service: cut(service),
    version: cut(version),
    host: cut(host),
    zone: cut(zone),
    admin: cut(admin),
    config: cut(config),
  }
}
