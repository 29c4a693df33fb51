import type { OutlierSpec } from '../../mesh-config/snapshot.ts'
import type { Clock } from '../core/clock.ts'
import type { Classification } from '../core/cluster.ts'
import type { Endpoint } from '../core/endpoint.ts'
import { add, type ProxyEvent, set } from '../core/telemetry.ts'

export interface OutlierDeps {
  readonly clock: Clock
  readonly event: (event: ProxyEvent) => void
  /** Pickers must be built anew: an endpoint came or went. */
  readonly changed: () => void
  readonly all: () => readonly Endpoint[]
}

/**
 * Passive ejection (Envoy's `consecutive_gateway_failure`): so many failures in a row and the endpoint gets no more requests, for `base` x the number of its ejections.
 * Then it is probing, and in slow start: its next answer admits it or ejects it again. The share of ejected endpoints is computed as it would be after the ejection, but
 * one of at least two may always go: 10 % of three must not mean never. Only those count that get requests when it does: the others do not help when it is gone.
 */
export function outlierDetector(cluster: string, deps: OutlierDeps) {
  const { clock } = deps
  let spec: OutlierSpec = { consecutiveGatewayFailures: 0, baseEjectionMs: 0, maxEjectionMs: 0, maxEjectedPercent: 0 }
  const timer = clock.timer(readmit)

  function mayEject({ spec: { health } }: Endpoint): boolean {
    // What the registry has taken out of use needs no ejection.
    if (health !== 'passing' && health !== 'failing') return false
    let count = 0
    let ejected = 0
    for (const endpoint of deps.all()) {
      // One that fails its checks gets requests in panic only, together with those that pass.
      if (endpoint.spec.health !== 'passing' && endpoint.spec.health !== health) continue
      count++
      if (endpoint.state === 'ejected') ejected++
    }
    if (count - ejected < 2) return false
    return ejected === 0 || ((ejected + 1) * 100) / count <= spec.maxEjectedPercent
  }

  function eject(endpoint: Endpoint, reason: string): void {
    // Each ejection time spent without another takes one off: an instance deployed anew each day begins anew each day.
    if (endpoint.ejections > 0) endpoint.ejections = Math.max(0, endpoint.ejections - Math.floor((clock.now() - endpoint.ejectedUntil) / spec.baseEjectionMs))
    endpoint.ejections++
    const forMs = Math.min(spec.baseEjectionMs * endpoint.ejections, spec.maxEjectionMs)
    endpoint.state = 'ejected'
    endpoint.ejectedUntil = clock.now() + forMs
    endpoint.ejectionReason = reason
    add(endpoint.stats.ejections, 1)
    set(endpoint.stats.ejected, 1)
    deps.event({ kind: 'endpoint-ejected', cluster, endpoint: endpoint.name, reason, forMs })
    deps.changed()
    schedule()
  }

  function schedule(): void {
    let next = Number.POSITIVE_INFINITY
    for (const endpoint of deps.all()) if (endpoint.state === 'ejected') next = Math.min(next, endpoint.ejectedUntil)
    if (next !== Number.POSITIVE_INFINITY) timer.arm(Math.max(0, next - clock.now()))
  }

  function readmit(): void {
    const now = clock.now()
    let changed = false
    for (const endpoint of deps.all()) {
      if (endpoint.state !== 'ejected' || endpoint.ejectedUntil > now) continue
      endpoint.state = 'probing'
      // Else a policy that remembers would hardly ever send the request that decides.
      endpoint.load.forget()
      endpoint.warmingSince = now
      set(endpoint.stats.ejected, 0)
      endpoint.consecutiveFailures = 0
      changed = true
    }
    if (changed) deps.changed()
    schedule()
  }

  return {
    configure(next: OutlierSpec): void {
      spec = next
      if (spec.consecutiveGatewayFailures !== 0) return
      let changed = false
      for (const endpoint of deps.all()) {
        if (endpoint.state !== 'admitting') changed = true
        if (endpoint.state === 'ejected') endpoint.warmingSince = clock.now()
        endpoint.state = 'admitting'
        endpoint.ejectedUntil = 0
        set(endpoint.stats.ejected, 0)
      }
      if (changed) deps.changed()
    },
    report(endpoint: Endpoint, outcome: Classification, reason: string): void {
      if (outcome === 'ignorable') return
      if (outcome === 'success') {
        endpoint.consecutiveFailures = 0
        if (endpoint.state === 'probing') {
          endpoint.state = 'admitting'
          deps.event({ kind: 'endpoint-admitted', cluster, endpoint: endpoint.name })
        }
        return
      }
      endpoint.consecutiveFailures++
      if (spec.consecutiveGatewayFailures === 0 || endpoint.state === 'ejected') return
      const enough = endpoint.state === 'probing' || endpoint.consecutiveFailures >= spec.consecutiveGatewayFailures
      if (!enough || !mayEject(endpoint)) return
      const probing = endpoint.state === 'probing' ? ' while probing' : ''
      eject(endpoint, `${endpoint.consecutiveFailures} consecutive failures${probing}, last: ${reason}`)
    },
    stop(): void {
      timer.cancel()
    },
  }
}
