import type { OutlierSpec } from '../../mesh-config/snapshot.ts'
import type { Clock } from '../core/clock.ts'
import type { Classification } from '../core/cluster.ts'
import type { Endpoint } from '../core/endpoint.ts'
import { add, type ProxyEvent, set } from '../core/telemetry.ts'
import { leastBad, roomIn } from './room.ts'

export interface OutlierDeps {
  readonly clock: Clock
  readonly event: (event: ProxyEvent) => void
  /** Pickers must be built anew: an endpoint was ejected or readmitted. */
  readonly changed: () => void
  /** The sets of endpoints that requests are shared among: first the whole service, then subsets. They overlap. */
  readonly sets: () => readonly (readonly Endpoint[])[]
}

/**
 * Passive ejection (Envoy's `consecutive_gateway_failure`): after this many failures in a row an endpoint gets no
 * requests, for `base` x the number of its ejections. Then it is probing, and in slow start: its next answer admits it
 * or ejects it again.
 *
 * Each set limits how many of its endpoints are ejected (`roomIn`). The limit is checked before an ejection, in every
 * set that has the endpoint, and again whenever a set changes (`review`). A priority and a zone are not sets: when all
 * of their endpoints are ejected, the next priority or the other zones take over.
 */
export function outlierDetector(cluster: string, deps: OutlierDeps) {
  const { clock } = deps
  let spec: OutlierSpec = { consecutiveGatewayFailures: 0, baseEjectionMs: 0, maxEjectionMs: 0, maxEjectedPercent: 0 }
  const timer = clock.timer(readmit)

  const whole = () => deps.sets()[0] ?? []

  function mayEject(endpoint: Endpoint): boolean {
    const { health } = endpoint.spec
    // An endpoint that the registry took out of use needs no ejection.
    if (health !== 'passing' && health !== 'failing') return false
    return deps
      .sets()
      .every(each => !each.includes(endpoint) || roomIn(each, health === 'failing', spec.maxEjectedPercent) > 0)
  }

  function eject(endpoint: Endpoint, reason: string): void {
    const now = clock.now()
    // Each ejection time without a further ejection takes one off, so that an instance deployed anew each day begins
    // anew each day.
    if (endpoint.ejections > 0)
      endpoint.ejections = Math.max(
        0,
        endpoint.ejections - Math.floor((now - endpoint.ejectedUntil) / spec.baseEjectionMs),
      )
    endpoint.ejections++
    const forMs = Math.min(spec.baseEjectionMs * endpoint.ejections, spec.maxEjectionMs)
    endpoint.state = 'ejected'
    endpoint.ejectedAt = now
    endpoint.ejectedUntil = now + forMs
    endpoint.ejectionReason = reason
    add(endpoint.stats.ejections, 1)
    set(endpoint.stats.ejected, 1)
    deps.event({ kind: 'endpoint-ejected', cluster, endpoint: endpoint.name, reason, forMs })
    deps.changed()
    schedule()
  }

  function schedule(): void {
    let next = Number.POSITIVE_INFINITY
    for (const endpoint of whole()) if (endpoint.state === 'ejected') next = Math.min(next, endpoint.ejectedUntil)
    if (next !== Number.POSITIVE_INFINITY) timer.arm(Math.max(0, next - clock.now()))
  }

  function probe(endpoint: Endpoint, now: number): void {
    endpoint.state = 'probing'
    // When it is readmitted early, the time without an ejection begins now.
    endpoint.ejectedUntil = Math.min(endpoint.ejectedUntil, now)
    // Attempts that began earlier do not show its present state.
    endpoint.judgedSince = now
    // Otherwise a policy that remembers latency would hardly ever send the request that decides.
    endpoint.load.forget()
    endpoint.warmingSince = now
    set(endpoint.stats.ejected, 0)
    endpoint.consecutiveFailures = 0
  }

  function readmit(): void {
    const now = clock.now()
    let changed = false
    for (const endpoint of whole()) {
      if (endpoint.state !== 'ejected' || endpoint.ejectedUntil > now) continue
      probe(endpoint, now)
      changed = true
    }
    if (changed) deps.changed()
    schedule()
  }

  /** Readmits the least bad endpoints of a set that has too many ejected. True: there were some. */
  function relieve(members: readonly Endpoint[]): boolean {
    let relieved = false
    for (const withFailing of [false, true]) {
      while (roomIn(members, withFailing, spec.maxEjectedPercent) < 0) {
        probe(leastBad(members)!, clock.now())
        relieved = true
      }
    }
    return relieved
  }

  return {
    configure(next: OutlierSpec): void {
      spec = next
      if (spec.consecutiveGatewayFailures !== 0) return
      let changed = false
      for (const endpoint of whole()) {
        if (endpoint.state !== 'admitting') changed = true
        if (endpoint.state === 'ejected') endpoint.warmingSince = clock.now()
        endpoint.state = 'admitting'
        endpoint.ejectedUntil = 0
        set(endpoint.stats.ejected, 0)
      }
      if (changed) deps.changed()
    },
    /**
     * Called when the sets or the settings changed. True: it has readmitted endpoints, so all pickers must be
     * rebuilt.
     */
    review(): boolean {
      const sets = deps.sets()
      if (!whole().some(({ state }) => state === 'ejected')) return false
      return sets.filter(relieve).length !== 0
    },
    /** `startedAt`: when the attempt began. Attempts that began before the endpoint was readmitted are ignored. */
    report(endpoint: Endpoint, outcome: Classification, reason: string, startedAt: number): void {
      if (outcome === 'ignorable' || endpoint.state === 'ejected' || startedAt < endpoint.judgedSince) return
      if (outcome === 'success') {
        endpoint.consecutiveFailures = 0
        if (endpoint.state === 'probing') {
          endpoint.state = 'admitting'
          deps.event({ kind: 'endpoint-admitted', cluster, endpoint: endpoint.name })
        }
        return
      }
      endpoint.consecutiveFailures++
      if (spec.consecutiveGatewayFailures === 0) return
      const enough = endpoint.state === 'probing' || endpoint.consecutiveFailures >= spec.consecutiveGatewayFailures
      if (!enough || !mayEject(endpoint)) return
      const probing = endpoint.state === 'probing' ? ' while probing' : ''
      eject(endpoint, `${endpoint.consecutiveFailures} consecutive failures${probing}, last: ${reason}`)
    },
    resume(): void {
      if (spec.consecutiveGatewayFailures === 0) {
        for (const endpoint of whole()) endpoint.state = 'admitting'
        return
      }
      for (const endpoint of whole()) if (endpoint.state === 'ejected') set(endpoint.stats.ejected, 1)
      // Other limits may be in force than those under which they were ejected.
      deps.sets().forEach(relieve)
      schedule()
    },
    stop(): void {
      timer.cancel()
    },
  }
}
