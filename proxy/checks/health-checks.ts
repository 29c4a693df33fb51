import type { EndpointSpec, HealthSpec } from '../../mesh-config/snapshot.ts'
import type { Clock, Random } from '../core/clock.ts'
import type { CheckedService, UnhealthyEndpoints } from '../core/health-checks.ts'
import type { Log } from '../core/log.ts'
import { isSame } from '../core/same.ts'
import type { Dial } from '../core/wire.ts'
import { type CheckerDeps, keptConnections } from './checker.ts'
import { checksOf } from './checks-of.ts'
import type { EndpointCheck } from './endpoint-check.ts'
import type { MatchText } from './http-checker.ts'
import { permits } from './permits.ts'
import { ServiceChecks } from './service-checks.ts'

/** Endpoints that change together are told together. */
const GATHERED_MS = 50
/** Lines of the log for one service at a time. */
const MOST_LINES = 5
const MOST_KEPT = 1_000

/** How the endpoints of a service are checked. */
export interface Checking {
  readonly spec: HealthSpec
  /** How connections are made; another key means another way. */
  readonly transport: { readonly key: string; readonly dial: Dial; readonly scheme: CheckerDeps['scheme'] }
}

export interface HealthChecks {
  /** The services that are checked, and how. Those that stay keep what is known of their endpoints. */
  configure(services: ReadonlyMap<string, Checking>): void
  /** The endpoints of a service as discovery has them. */
  follow(service: string, endpoints: readonly EndpointSpec[]): void
  /** The same with what the checks say. */
  overlay(service: string, endpoints: readonly EndpointSpec[]): readonly EndpointSpec[]
  /** Requests so far, by service. */
  used(uses: ReadonlyMap<string, number>): void
  status(): readonly CheckedService[]
  unhealthy(): UnhealthyEndpoints
  stop(): void
}

export interface HealthChecksDeps extends Omit<CheckerDeps, 'kept' | 'dial' | 'scheme'> {
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  /** Compiled before: what regular expressions match. */
  readonly pattern: (expression: string) => MatchText
  readonly before: UnhealthyEndpoints
  /** What `overlay` says of a service has changed. */
  readonly changed: (service: string) => void
}

/** The active health checks of all services, once for all data threads. */
export function healthChecks({ log, pattern, before, changed, ...deps }: HealthChecksDeps): HealthChecks {
  const { clock, random } = deps
  const services = new Map<string, ServiceChecks>()
  /** Of their transports. */
  const keys = new Map<string, string>()
  const lineOf = permits()
  const kept = keptConnections(MOST_KEPT)
  let news = new Map<ServiceChecks, EndpointCheck[]>()
  const gathered = clock.timer(tell)

  function makeOf({ spec: { check, reuse }, transport: { dial, scheme } }: Checking) {
    const { body } = check.kind === 'http' ? check : { body: null }
    return checksOf(check, reuse, body?.kind === 'regex' ? pattern(body.value) : null, { ...deps, dial, scheme, kept })
  }

  function open(name: string, checking: Checking): ServiceChecks {
    return new ServiceChecks(name, checking.spec, makeOf(checking), {
      clock,
      random,
      line: lineOf(),
      before: before[name] ?? {},
      changed(service, check) {
        if (news.size === 0) gathered.arm(GATHERED_MS)
        const those = news.get(service)
        if (those === undefined) news.set(service, [check])
        else those.push(check)
      },
    })
  }

  function tell(): void {
    const told = news
    news = new Map()
    for (const [service, checks] of told) {
      if (services.get(service.name) !== service) continue
      say(service.name, [...new Set(checks)])
      changed(service.name)
    }
  }

  function say(service: string, checks: readonly EndpointCheck[]): void {
    for (const { name: endpoint, state, reason } of checks.slice(0, MOST_LINES)) {
      if (state === 'unhealthy') log.warn(`${service}: ${endpoint} is unhealthy: ${reason}`, { service, endpoint })
      else log.info(`${service}: ${endpoint} is healthy`, { service, endpoint })
    }
    const others = checks.slice(MOST_LINES)
    if (others.length === 0) return
    const bad = others.filter(({ state }) => state === 'unhealthy').length
    const line = `${service}: ${bad} more endpoints are unhealthy, and ${others.length - bad} more healthy`
    if (bad > 0) log.warn(line, { service })
    else log.info(line, { service })
  }

  return {
    configure(wanted) {
      for (const [name, service] of services) {
        if (wanted.has(name)) continue
        service.stop()
        services.delete(name)
        keys.delete(name)
      }
      for (const [name, checking] of wanted) {
        const known = services.get(name)
        const { spec, transport } = checking
        if (known === undefined) services.set(name, open(name, checking))
        else if (transport.key !== keys.get(name) || !isSame(known.spec, spec)) known.change(spec, makeOf(checking))
        keys.set(name, transport.key)
      }
    },
    follow: (service, endpoints) => services.get(service)?.follow(endpoints),
    overlay: (service, endpoints) => services.get(service)?.overlay(endpoints) ?? endpoints,
    used(uses) {
      for (const [name, service] of services) service.used(uses.get(name) ?? 0)
    },
    status: () => [...services.values()].map(service => service.status()),
    unhealthy: () => Object.fromEntries([...services].map(([name, service]) => [name, service.unhealthy()])),
    stop() {
      gathered.cancel()
      for (const service of services.values()) service.stop()
      services.clear()
    },
  }
}
