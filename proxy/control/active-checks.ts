import { compileRegex } from '../../mesh-config/regex.ts'
import type { EndpointSpec, HealthSpec, ServiceSpec, Snapshot } from '../../mesh-config/snapshot.ts'
import type { HealthChecks } from '../checks/health-checks.ts'
import type { Clock, Random } from '../core/clock.ts'
import type { CheckedService, UnhealthyEndpoints } from '../core/health-checks.ts'
import type { Log } from '../core/log.ts'
import type { Dial } from '../core/wire.ts'
import { usesOf } from './uses.ts'
import type { DataThreads } from './workers.ts'

/** The active health checks, which are loaded with the first service that has some. */
export interface ActiveChecks {
  /** This snapshot is in force. */
  applied(snapshot: Snapshot, endpointsOf: (service: ServiceSpec) => readonly EndpointSpec[]): void
  /** The endpoints of a service as discovery has them. */
  follow(service: string, endpoints: readonly EndpointSpec[]): void
  /** The same with what the checks say. */
  overlay(service: string, endpoints: readonly EndpointSpec[]): readonly EndpointSpec[]
  status(): readonly CheckedService[]
  unhealthy(): UnhealthyEndpoints
  stop(): void
}

export interface ActiveChecksDeps {
  readonly threads: Pick<DataThreads, 'ask'>
  /** What `overlay` says of a service may have changed. */
  readonly changed: (service: string) => void
  /** As an earlier process knew them. */
  readonly before: UnhealthyEndpoints
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  /** Of tests; absent: the system's. */
  readonly dial?: Dial
}

/** How often the data threads are asked which services have requests. */
const LOOK_MS = 5_000

type Pattern = (text: string) => boolean

export function activeChecks({ threads, changed, before, ...deps }: ActiveChecksDeps): ActiveChecks {
  const { clock, log } = deps
  let engine: HealthChecks | null = null
  let wanted: ReadonlyMap<string, HealthSpec> = new Map()
  let endpointsOf: (name: string) => readonly EndpointSpec[] = () => []
  const patterns = new Map<string, Pattern>()
  let isOver = false
  const look = clock.timer(async () => {
    engine?.used(await usesOf(threads))
    lookAgain()
  })

  function lookAgain(): void {
    if (!isOver && [...wanted.values()].some(({ intervalMs, noTrafficMs }) => noTrafficMs > intervalMs))
      look.arm(LOOK_MS)
    else look.cancel()
  }

  async function load(): Promise<void> {
    const [{ healthChecks }, { http1 }, { http2 }, dial] = await Promise.all([
      import('../checks/health-checks.ts'),
      import('../codec/h1/codec.ts'),
      import('../codec/h2/codec.ts'),
      deps.dial ?? import('../system/net.ts').then(net => net.dial),
    ])
    const pattern = (expression: string) => patterns.get(expression)!
    engine ??= healthChecks({ ...deps, dial, http1, http2: http2(clock), pattern, before, changed })
  }

  /** Those whose expression cannot be compiled are left out. */
  async function compile(): Promise<void> {
    const missing = [...wanted].filter(
      ([, spec]) => !patterns.has(expressionOf(spec) ?? '') && expressionOf(spec) !== null,
    )
    if (missing.length === 0) return
    for (const [service, spec] of missing) {
      const expression = expressionOf(spec)!
      try {
        patterns.set(expression, await compileRegex(expression))
      } catch (error) {
        log.error(`${service}: its health checks cannot be made: ${error instanceof Error ? error.message : error}`)
      }
    }
  }

  function put(): void {
    if (isOver || engine === null) return
    const known = engine.status().map(({ name }) => name)
    const able = [...wanted].filter(([, spec]) => expressionOf(spec) === null || patterns.has(expressionOf(spec)!))
    engine.configure(new Map(able))
    for (const [name] of able) engine.follow(name, endpointsOf(name))
    for (const name of new Set([...known, ...wanted.keys()])) changed(name)
    lookAgain()
  }

  return {
    applied(snapshot, of) {
      wanted = checkedOf(snapshot)
      endpointsOf = name => of(snapshot.services[name]!)
      if (engine === null && wanted.size === 0) return
      void Promise.all([engine ?? load(), compile()]).then(put, (error: unknown) =>
        log.error(`the health checks cannot be made: ${String(error)}`),
      )
    },
    follow: (service, endpoints) => engine?.follow(service, endpoints),
    overlay: (service, endpoints) => engine?.overlay(service, endpoints) ?? endpoints,
    status: () => engine?.status() ?? [],
    unhealthy: () => engine?.unhealthy() ?? before,
    stop() {
      isOver = true
      look.cancel()
      engine?.stop()
    },
  }
}

function checkedOf({ services }: Snapshot): ReadonlyMap<string, HealthSpec> {
  const checked = new Map<string, HealthSpec>()
  for (const { name, kind, health } of Object.values(services))
    if (kind === 'named' && health !== undefined) checked.set(name, health)
  return checked
}

/** Null: there is none. */
function expressionOf({ check }: HealthSpec): string | null {
  return check.kind === 'http' && check.body?.kind === 'regex' ? check.body.value : null
}
