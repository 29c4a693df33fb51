import type { ListenerSpec } from '../../mesh-config/snapshot.ts'
import { http1 } from '../codec/h1/codec.ts'
import { isPreface } from '../codec/h2/preface.ts'
import type { Unknown } from '../core/channel.ts'
import type { Clock, Random } from '../core/clock.ts'
import type { Refusal } from '../core/codec.ts'
import { HeaderList } from '../core/header-list.ts'
import { Account, UNLIMITED } from '../core/ledger.ts'
import type { ListenerRuntime } from '../core/listener.ts'
import { helpOf } from '../core/metrics-table.ts'
import type { AllRetryMarks } from '../core/retry-marks.ts'
import type { Telemetry } from '../core/telemetry.ts'
import { corridor } from '../corridor.ts'
import { attemptLoop } from '../forward/attempt-loop.ts'
import { Forward, type ForwardDeps } from '../forward/forward.ts'
import type { Tunnel } from '../forward/tunnel.ts'
import { Listener, type ListenerDeps } from '../listener/listener.ts'
import { TcpTunnel, type TcpTunnelDeps } from '../tcp/tunnel.ts'
import { detectionStats, type Series, type StatsWriter } from '../telemetry/stats.ts'
import { tunnelStats } from '../telemetry/tunnel-stats.ts'

export interface OpenListenerDeps {
  readonly clock: Clock
  readonly random: Random
  readonly stats: StatsWriter
  /** To callers. */
  readonly http2: ListenerDeps['http2']
  telemetryOf(listener: () => string): Telemetry
  readonly marks: AllRetryMarks
  discover(authority: string): Promise<Unknown | null> | null
  discoverAhead(authority: string): Promise<Unknown | null> | null
}

export interface OpenListener {
  readonly listener: Listener
  /** What is counted of it: to be retired with it. */
  series(): readonly Series[]
}

/** A listener joined with what serves its connections: the corridor for requests, tunnels for all else. */
export function openListener(runtime: ListenerRuntime, deps: OpenListenerDeps): OpenListener {
  const { clock, random, stats, marks, discover, discoverAhead } = deps
  const { name, direction } = runtime.spec
  const labels = { listener: name, direction }
  const tunnels = tunnelStats<Tunnel>(stats, labels)
  const counted = connectionStats(stats, labels)
  const telemetry = deps.telemetryOf(() => listener.runtime.spec.name)
  const now = () => listener.runtime
  const forwardDeps = corridor({ clock, random, telemetry, tunnels, marks, listener: now, discover, discoverAhead })
  const onComplete: TcpTunnelDeps['onComplete'] = exchange => telemetry.exchange(exchange)
  const attempts: TcpTunnelDeps['attempts'] = owner => attemptLoop(owner, { clock, random })
  const tcpDeps: TcpTunnelDeps = { clock, attempts, listener: now, decide: forwardDeps.decide, onComplete }
  const listener: Listener = new Listener(runtime, {
    clock,
    random,
    http1,
    http2: deps.http2,
    isHttp2: isPreface,
    stats: counted.stats,
    leave() {
      for (const tunnel of [...tunnels.open]) tunnel.leave()
    },
    onStream(stream, wire, protocol, from) {
      stream.receiver = new Forward(stream, wire, from.runtime.spec.direction, protocol, forwardDeps, NOTHING)
    },
    onRefused: (refusal, from) => recordRefusal(refusal, from, forwardDeps, telemetry),
    tunnel(wire, opening, onClosed) {
      const tunnel = new TcpTunnel(wire, opening, tcpDeps, onClosed)
      tunnel.open()
      return tunnel
    },
  })
  return { listener, series: () => [...counted.series(), ...tunnels.series] }
}

function connectionStats(stats: StatsWriter, labels: Pick<ListenerSpec, 'direction'> & { readonly listener: string }) {
  const own = {
    accepted: stats.counter(
      'outrigger_downstream_connections_total',
      helpOf('outrigger_downstream_connections_total'),
      labels,
    ),
    active: stats.gauge(
      'outrigger_downstream_connections_active',
      helpOf('outrigger_downstream_connections_active'),
      labels,
    ),
    overflow: stats.counter(
      'outrigger_downstream_connections_overflow_total',
      helpOf('outrigger_downstream_connections_overflow_total'),
      labels,
    ),
  }
  const detections = detectionStats(stats, labels, Object.values(own))
  return {
    stats: {
      ...own,
      detected: (found: string) => detections.told(found),
      detectionTimedOut: () => detections.timedOut(),
      secured: (how: string) => detections.secured(how),
    },
    series: () => detections.series,
  }
}

/** What a codec refused never became a request, and is recorded as an exchange all the same. */
function recordRefusal(
  { failure, detail, peer, protocol }: Refusal,
  { runtime }: Listener,
  deps: ForwardDeps,
  telemetry: Telemetry,
): void {
  const from = { peer, account: NO_ACCOUNT }
  const { exchange } = new Forward(NO_STREAM, from, runtime.spec.direction, protocol, deps, NOTHING)
  const now = deps.clock.now()
  exchange.begin(NOTHING, now)
  exchange.status = failure.httpStatus
  exchange.failure = failure
  exchange.detail = detail
  exchange.completedAt = now
  telemetry.exchange(exchange)
}

/** Stands where no request was ever read. */
const NOTHING = { method: '', scheme: 'http', authority: '', path: '', upgrade: '', headers: new HeaderList() } as const
const NO_ACCOUNT = new Account(UNLIMITED, null)
const NO_STREAM = { receiver: null, head() {}, data: () => true, trailers() {}, reset() {}, pause() {}, resume() {} }
