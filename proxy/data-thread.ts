import type { AddressSpec, Snapshot } from '../mesh-config/snapshot.ts'
import { http2 } from './codec/h2/codec.ts'
import { guards, hopCancels } from './codec/h2/options.ts'
import type { ToControl, ToData } from './core/channel.ts'
import type { Clock, Random } from './core/clock.ts'
import { Ledger } from './core/ledger.ts'
import type { ProxyEvent } from './core/telemetry.ts'
import type { Turns } from './core/turn.ts'
import type { Dial, Listen } from './core/wire.ts'
import { accounted, accountedDial } from './runtime/accounted.ts'
import { answer } from './runtime/answers.ts'
import { applier } from './runtime/apply.ts'
import { applySnapshot } from './runtime/apply-snapshot.ts'
import { discoverer } from './runtime/discover.ts'
import { drain } from './runtime/drain.ts'
import { watchLag } from './runtime/lag.ts'
import { listeners } from './runtime/listeners.ts'
import { openListener } from './runtime/open-listener.ts'
import { receiver } from './runtime/receive.ts'
import { records } from './runtime/records.ts'
import { loadRe2, patternsOf } from './runtime/regex.ts'
import { wanted } from './runtime/wanted.ts'
import { accessLogQueue } from './telemetry/access-log-queue.ts'
import { bufferStats } from './telemetry/buffer-stats.ts'
import { guardTrips } from './telemetry/guard-trips.ts'
import { statsWriter } from './telemetry/stats.ts'

export interface DataThreadDeps {
  /** Which of the data threads this is: the `thread` label. */
  readonly index: number
  readonly clock: Clock
  readonly random: Random
  readonly turns: Turns
  readonly dial: Dial
  readonly listen: Listen
  /** Several data threads have each port open. */
  readonly shared: boolean
  /** What an error of `listen` means, and what to do about it. */
  explainListen(error: unknown, address: AddressSpec): Promise<string>
  send(message: ToControl): void
}

export interface DataThread {
  receive(message: ToData): void
}

/**
 * Everything a data thread is, but for the system it runs on: the same object serves the real proxy and a mesh
 * simulated on a virtual clock. It joins the parts; what they do is in `runtime/`.
 */
export function dataThread(deps: DataThreadDeps): DataThread {
  const { index, clock, random, turns, send } = deps
  const event = (event: ProxyEvent) => send({ kind: 'event', event })

  // 1  What is counted and kept.
  const stats = statsWriter(send)
  const buffers = bufferStats(stats, index, clock, event)
  const ledger = new Ledger(turns, buffers.cut)
  const log = accessLogQueue((lines, dropped) => send({ kind: 'log', lines, dropped }), clock)
  const kept = records({ clock, stats, event, log })
  watchLag(clock, stats, index, () => buffers.held(ledger.held))

  // 2  Services, their endpoints and routes.
  const onGuard = guardTrips('upstream', guards, stats, clock, event)
  const runtime = applier({
    clock,
    random,
    turns,
    stats,
    event,
    dial: accountedDial(deps.dial, ledger),
    ownListeners: () => open.own(),
    http2: http2(clock, { onGuard }),
    hop: http2(clock, { carriesHttp1: true, cancels: hopCancels, onGuard }),
  })
  const waiting = wanted(clock, send)
  const discover = discoverer(waiting, () => runtime.inForce()?.snapshot.onDemandMs ?? 0)

  // 3  Listeners.
  const http2Down = http2(clock, { onGuard: guardTrips('downstream', guards, stats, clock, event) })
  const listenerDeps = { clock, random, stats, http2: http2Down, telemetryOf: kept.telemetryOf, discover }
  const open = listeners({
    ...deps,
    stats,
    event,
    accepted: wire => accounted(wire, ledger),
    openListener: listener => openListener(listener, listenerDeps),
  })

  // 4  What the control thread says and asks.
  const patterns = patternsOf({ clock, event, load: loadRe2 })
  const applied = (snapshot: Snapshot) => {
    ledger.limitTo(snapshot.buffersBytes)
    for (const service of Object.keys(snapshot.services)) waiting.settle(service, null)
  }
  const drained = (cut: number) => {
    log.flush()
    send({ kind: 'drained', cut })
  }
  const receive = receiver({
    applier: runtime,
    waiting,
    log,
    apply: message =>
      applySnapshot(message, { applier: runtime, records: kept, listeners: open, patterns, applied, send }),
    answer: question => answer(question, { clock, random, applier: runtime, records: kept, discover }),
    drain: plan => drain(open, clock, plan, drained),
    send,
  })
  return { receive }
}
