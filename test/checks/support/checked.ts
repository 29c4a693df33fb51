import type { EndpointSpec, HealthSpec } from '../../../mesh-config/snapshot.ts'
import { type Checking, type HealthChecks, healthChecks } from '../../../proxy/checks/health-checks.ts'
import { http1 } from '../../../proxy/codec/h1/codec.ts'
import { http2 } from '../../../proxy/codec/h2/codec.ts'
import type { UnhealthyEndpoints } from '../../../proxy/core/health-checks.ts'
import type { Dial } from '../../../proxy/core/wire.ts'
import { logTape } from '../../support/log-tape.ts'
import { Mesh } from '../../support/mesh.ts'
import { endpointSpec } from '../../support/specs.ts'

/** GET /healthz over HTTP/1.1 every 5 s, without chance. */
export function healthSpec(over: Partial<HealthSpec> = {}): HealthSpec {
  return {
    check: httpCheck(),
    port: 0,
    intervalMs: 5_000,
    noTrafficMs: 5_000,
    jitterPercent: 0,
    timeoutMs: 1_000,
    unhealthyAfter: 3,
    healthyAfter: 2,
    reuse: true,
    secured: true,
    ...over,
  }
}

type HttpCheck = Extract<HealthSpec['check'], { kind: 'http' }>

export function httpCheck(over: Partial<HttpCheck> = {}): HttpCheck {
  return {
    kind: 'http',
    protocol: 'http/1.1',
    method: 'GET',
    path: '/healthz',
    host: 'orders',
    headers: [],
    expect: [[200, 299]],
    retriable: [
      [429, 429],
      [500, 500],
      [502, 502],
      [504, 504],
    ],
    body: null,
    maxResponseMs: 0,
    ...over,
  }
}

/** As plain connections. */
export function checking(specs: Readonly<Record<string, HealthSpec>>, dial: Dial): ReadonlyMap<string, Checking> {
  return new Map(
    Object.entries(specs).map(([name, spec]) => [name, { spec, transport: { key: 'plain', dial, scheme: 'http' } }]),
  )
}

export interface Checked {
  readonly mesh: Mesh
  readonly checks: HealthChecks
  readonly log: ReturnType<typeof logTape>
  /** Services that were told to have changed. */
  readonly changed: string[]
  pass(ms: number): void
  /** `healthy`, or `failing: why`, by `address:port`. */
  states(service?: string): Record<string, string>
}

/** The real checks over memory wires on virtual time, of one service `orders`. */
export function checked(
  spec: HealthSpec | Readonly<Record<string, HealthSpec>>,
  endpoints: readonly string[] | Readonly<Record<string, readonly string[]>>,
  before: UnhealthyEndpoints = {},
): Checked {
  const mesh = new Mesh()
  const log = logTape()
  const changed: string[] = []
  const specs = 'check' in spec ? { orders: spec as HealthSpec } : spec
  const all: Readonly<Record<string, readonly string[]>> = Array.isArray(endpoints)
    ? { orders: endpoints }
    : (endpoints as Readonly<Record<string, readonly string[]>>)
  const { clock } = mesh
  const checks = healthChecks({
    clock,
    random: mesh.random,
    log,
    http1,
    http2: http2(clock),
    pattern: expression => text => new RegExp(expression).test(text),
    before,
    changed: service => changed.push(service),
  })
  const specsOf = (service: string): EndpointSpec[] => all[service]!.map(name => endpointSpec(name))
  checks.configure(checking(specs, mesh.dial))
  for (const service of Object.keys(all)) checks.follow(service, specsOf(service))
  return {
    mesh,
    checks,
    log,
    changed,
    pass: ms => mesh.loop.advance(ms),
    states: (service = 'orders') =>
      Object.fromEntries(
        checks
          .overlay(service, specsOf(service))
          .map(({ address, port, health, healthReason }) => [
            `${address}:${port}`,
            health === 'passing' ? 'passing' : `${health}: ${healthReason}`,
          ]),
      ),
  }
}
