import type { AddressSpec, Snapshot } from '../mesh-config/snapshot.ts'
import { http2 } from './codec/h2/codec.ts'
import { guards, hopCancels } from './codec/h2/options.ts'
import type { Cells } from './core/cells.ts'
import type { ToControl, ToData } from './core/channel.ts'
import type { Clock, Random } from './core/clock.ts'
import type { Learnt } from './core/learnt.ts'
import { Ledger } from './core/ledger.ts'
import { retryMarks } from './core/retry-marks.ts'
import type { ProxyEvent } from './core/telemetry.ts'
import { Tracing } from './core/tracing.ts'
import type { Turns } from './core/turn.ts'
import type { Dial, Listen } from './core/wire.ts'
import type { OwnListener } from './pool/not-itself.ts'
import { accounted, accountedDial } from './runtime/accounted.ts'
import { answer } from './runtime/answers.ts'
import { applier } from './runtime/apply.ts'
import { applySnapshot } from './runtime/apply-snapshot.ts'
import { discoverer, settleKnown } from './runtime/discover.ts'
import { drainer } from './runtime/drain.ts'
import { watchLag } from './runtime/lag.ts'
import { type Listeners, listeners } from './runtime/listeners.ts'
import { openListener } from './runtime/open-listener.ts'
import { OwnConnections } from './runtime/own-connections.ts'
import { receiver } from './runtime/receive.ts'
import { records } from './runtime/records.ts'
import { loadRe2, patternsOf } from './runtime/regex.ts'
import { type TlsParts, tlsOf } from './runtime/tls.ts'
import { wanted } from './runtime/wanted.ts'
import { accessLogQueue } from './telemetry/access-log-queue.ts'
import { bufferStats } from './telemetry/buffer-stats.ts'
import { exemplars } from './telemetry/exemplars.ts'
import { guardTrips } from './telemetry/guard-trips.ts'
import { peerNames, UNNAMED } from './telemetry/peer-names.ts'
import { spanQueue } from './telemetry/span-queue.ts'
import { spanStats } from './telemetry/span-stats.ts'
import { statsWriter } from './telemetry/stats.ts'
import { tracer } from './telemetry/tracer.ts'

export interface DataThreadDeps {
  /** Which of the data threads this is: the `thread` label. */
  readonly index: number
  readonly clock: Clock
  readonly random: Random
  readonly turns: Turns
  readonly dial: Dial
  /** Loads what TLS needs, the first time that a service has it. */
  loadTls(): Promise<TlsParts>
  readonly listen: Listen
  /** What is one for all data threads. */
  readonly cells: Cells
  /** Several data threads have each port open. */
  readonly shared: boolean
  /** Makes `Wire.original` known; rejects where this system cannot tell. */
  loadOriginals(): Promise<void>
  /** What an error of `listen` means, and what to do about it. */
  explainListen(error: unknown, address: AddressSpec): Promise<string>
  /** Collects the garbage of this thread, and gives back what is free. */
  shrinkHeap(): void
  send(message: ToControl): void
  /** A process before this one listens there still. */
  readonly isInherited?: (name: string) => boolean
  /** What a process before this one had learnt of endpoints. */
  readonly learnt?: Learnt | undefined
}

export interface DataThread {
  receive(message: ToData): void
}

/**
 * Everything a data thread is, but for the system it runs on: the same object serves the real proxy and a mesh
 * simulated on a virtual clock. It joins the parts; what they do is in `runtime/`.
 */
export function dataThread(deps: DataThreadDeps): DataThread {
  const recorded = recording(deps)
  const services = serving(deps, recorded, () => open.own())
  const open = listening(deps, recorded, services)
  return { receive: receiving(deps, recorded, services, open) }
}

/** What is counted, held and kept. */
function recording({ index, clock, random, turns, send }: DataThreadDeps) {
  const event = (event: ProxyEvent) => send({ kind: 'event', event })
  const stats = statsWriter(send)
  const buffers = bufferStats(stats, index, clock, event)
  const ledger = new Ledger(turns, buffers.cut)
  const log = accessLogQueue((lines, dropped) => send({ kind: 'log', lines, dropped }), clock)
  const peers = peerNames()
  const requests = { stats, peers, exemplars: exemplars({ clock, send }) }
  watchLag(clock, stats, index, now => {
    buffers.held(ledger.held)
    stats.sweep(now)
  })
  const own = new OwnConnections(clock, (listener, detail) => event({ kind: 'listener-error', listener, detail }))
  const tracing = new Tracing()
  const spans = spanQueue({
    clock,
    ...spanStats(stats, index),
    tracing,
    send: (bytes, count) => send({ kind: 'spans', bytes, count }),
  })
  const made = tracer({ clock, random, tracing, queue: spans })
  const kept = records({ clock, requests, event, log, tracing, tracer: made })
  return { event, stats, peers, requests, ledger, log, spans, tracing, own, records: kept }
}

type Recording = ReturnType<typeof recording>

/** Services, their endpoints and routes; and those that nothing knows yet. */
function serving(
  { clock, random, turns, cells, dial, loadTls, learnt, send }: DataThreadDeps,
  recorded: Recording,
  ownListeners: () => Iterable<OwnListener>,
) {
  const { event, stats, requests, peers, ledger, tracing } = recorded
  const onGuard = guardTrips('upstream', guards, stats, clock, event)
  const source = () => (peers.self === UNNAMED ? '' : peers.self)
  const through = (made: Dial) => recorded.own.dial(accountedDial(made, ledger))
  const tls = tlsOf(loadTls, through)
  const runtime = applier({
    clock,
    random,
    turns,
    cells,
    stats,
    requests,
    event,
    tellEjections: service => {
      if (cells.threads > 1) send({ kind: 'ejections', service })
    },
    tracing,
    dial: through(dial),
    tls,
    learnt,
    ownListeners,
    http2: http2(clock, { onGuard, source }),
    hop: http2(clock, { carriesHttp1: true, cancels: hopCancels, onGuard, source }),
  })
  const waiting = wanted(clock, send)
  const looked = discoverer(waiting, clock, () => runtime.inForce()?.snapshot ?? null)
  return { applier: runtime, tls, waiting, looked }
}

type Services = ReturnType<typeof serving>

function listening(
  deps: DataThreadDeps,
  { event, stats, ledger, records, own }: Recording,
  { looked }: Services,
): Listeners {
  const { clock, random } = deps
  const codec = http2(clock, { onGuard: guardTrips('downstream', guards, stats, clock, event) })
  const marks = retryMarks(deps.cells)
  const opened = { clock, random, stats, marks, http2: codec, telemetryOf: records.telemetryOf, ...looked }
  return listeners({
    ...deps,
    stats,
    event,
    accepted: wire => accounted(wire, ledger),
    isOwn: (wire, listener) => own.isOwn(wire, listener),
    openListener: runtime => openListener(runtime, opened),
  })
}

/** What the control thread says and asks. */
function receiving(
  { clock, random, shrinkHeap, send }: DataThreadDeps,
  recorded: Recording,
  services: Services,
  listeners: Listeners,
) {
  const { event, stats, peers, ledger, log, spans, tracing, own, records } = recorded
  const { applier, tls, waiting, looked } = services
  const patterns = patternsOf({ clock, event, load: loadRe2 })
  const applied = (snapshot: Snapshot) => {
    ledger.limitTo(snapshot.buffersBytes)
    stats.expireAfter(snapshot.metrics.idleMs)
    peers.self = snapshot.service
    own.isOn = snapshot.listeners.some(({ transparent }) => transparent !== undefined)
    settleKnown(waiting, snapshot)
  }
  const drain = drainer(listeners, clock, (side, cut) => {
    log.flush()
    spans.flush()
    send({ kind: 'drained', side, cut })
  })
  return receiver({
    applier,
    waiting,
    log,
    spans,
    tracing,
    apply: message => applySnapshot(message, { applier, records, listeners, tls, patterns, applied, send }),
    answer: question => answer(question, { clock, random, applier, records, listeners, shrinkHeap, ...looked }),
    drain,
    send,
  })
}
