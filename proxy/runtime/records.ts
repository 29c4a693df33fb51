import type { Snapshot } from '../../mesh-config/snapshot.ts'
import type { FlightView } from '../core/channel.ts'
import type { Clock } from '../core/clock.ts'
import type { Exchange } from '../core/exchange.ts'
import type { TcpRoute } from '../core/route.ts'
import type { ProxyEvent, RouteStats, TcpStats, Telemetry } from '../core/telemetry.ts'
import type { Tracing } from '../core/tracing.ts'
import { opensTunnel } from '../core/tunnel.ts'
import { type AccessLogFormatter, accessLogFormatter } from '../telemetry/access-log.ts'
import type { AccessLogQueue } from '../telemetry/access-log-queue.ts'
import { type Flights, flights } from '../telemetry/flights.ts'
import { type RequestStatsDeps, requestStats } from '../telemetry/request-stats.ts'
import { tcpStats } from '../telemetry/stats.ts'
import type { Tracer } from '../telemetry/tracer.ts'
import type { Change } from './change.ts'

export interface RecordsDeps {
  readonly clock: Clock
  readonly requests: RequestStatsDeps
  readonly event: (event: ProxyEvent) => void
  readonly log: AccessLogQueue
  readonly tracing: Tracing
  readonly tracer: Tracer
}

/** What is kept of finished exchanges: numbers, spans, flights, lines of the access log. */
export interface Records {
  /** Throws where the snapshot asks for what cannot be written. */
  prepare(snapshot: Snapshot): Change
  /** `listener`: the name it has now. */
  telemetryOf(listener: () => string): Telemetry
  flights(failedOnly: boolean): FlightView[]
}

export function records({ clock, requests, event, log, tracing, tracer }: RecordsDeps): Records {
  let spec: Snapshot['flights'] = { recent: 0, failed: 0 }
  let format: AccessLogFormatter = () => ''
  let recorder: Flights = flights(spec, clock)
  const unrouted = statsOfUnrouted(requests)

  function count(exchange: Exchange): void {
    const { route, failure, status, direction } = exchange
    if (exchange.protocol === 'tcp')
      return (route === null ? unrouted.tcp(direction) : (route as TcpRoute).tcp).closed(failure?.flag ?? '-')
    // How long a tunnel stays open says nothing of how fast the service is; the access log has it.
    const end = opensTunnel(exchange.request.upgrade, status) ? exchange.firstByteAt : exchange.completedAt
    const own = route === null ? unrouted.requests(direction, exchange.decision.service || '-') : route.stats
    own.count(exchange, end - exchange.startedAt)
  }

  return {
    prepare(snapshot) {
      const formatNext = accessLogFormatter(snapshot.accessLog, snapshot.service)
      return {
        commit() {
          format = formatNext
          tracing.configure(snapshot.traces)
          if (JSON.stringify(snapshot.flights) === JSON.stringify(spec)) return
          spec = snapshot.flights
          recorder = flights(spec, clock)
        },
        abandon() {},
      }
    },
    telemetryOf: listener => ({
      exchange(exchange) {
        // First: exemplars, flights and the log say what became of it.
        tracer.exchange(exchange, listener())
        count(exchange)
        recorder.add(exchange, listener())
        log.add(format(exchange, clock))
      },
      event,
    }),
    flights: failedOnly => (failedOnly ? recorder.failed() : recorder.recent()),
  }
}

/** Of requests and tunnels that found no route. Bounded: a service that was found is a configured one. */
function statsOfUnrouted(deps: RequestStatsDeps) {
  const byService = new Map<string, RouteStats>()
  const byDirection = new Map<string, TcpStats>()
  return {
    requests(direction: Exchange['direction'], service: string): RouteStats {
      const key = `${direction} ${service}`
      let own = byService.get(key)
      if (own === undefined) {
        own = requestStats(deps, { direction, service, path: '-' })
        byService.set(key, own)
      }
      return own
    },
    tcp(direction: string): TcpStats {
      let own = byDirection.get(direction)
      if (own === undefined) {
        own = tcpStats(deps.stats, { direction, service: '-' })
        byDirection.set(direction, own)
      }
      return own
    },
  }
}
