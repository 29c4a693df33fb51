import { compileRegex } from '../../mesh-config/regex.ts'
import type { EndpointSpec, HealthSpec, ServiceSpec, Snapshot, TlsSpec } from '../../mesh-config/snapshot.ts'
import type { Checking, HealthChecks } from '../checks/health-checks.ts'
import type { Clock, Random } from '../core/clock.ts'
import type { CheckedService, UnhealthyEndpoints } from '../core/health-checks.ts'
import type { Log } from '../core/log.ts'
import type { Dial, MakeTlsDial, TlsOptions } from '../core/wire.ts'
import { usesOf } from './uses.ts'
import type { DataThreads } from './workers.ts'

/** The active health checks, which are loaded with the first service that has some. */
export interface ActiveChecks {
  /** This snapshot is in force, with what is in the files of certificates. */
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
  readonly tlsDial?: MakeTlsDial
}

/** How often the data threads are asked which services have requests. */
const LOOK_MS = 5_000

type Pattern = (text: string) => boolean

export function activeChecks({ threads, changed, before, ...deps }: ActiveChecksDeps): ActiveChecks {
  const { clock, log } = deps
  let engine: HealthChecks | null = null
  let plain: Dial
  let overTls: MakeTlsDial | null = null
  let wanted: ReadonlyMap<string, Wanted> = new Map()
  const transports = new Map<string, Checking['transport']>()
  let endpointsOf: (name: string) => readonly EndpointSpec[] = () => []
  const patterns = new Map<string, Pattern>()
  let isOver = false
  const look = clock.timer(async () => {
    engine?.used(await usesOf(threads))
    lookAgain()
  })

  function lookAgain(): void {
    if (!isOver && [...wanted.values()].some(({ spec }) => spec.noTrafficMs > spec.intervalMs)) look.arm(LOOK_MS)
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
    plain = dial
    engine ??= healthChecks({ ...deps, http1, http2: http2(clock), pattern, before, changed })
  }

  /** Those whose expression cannot be compiled are left out. */
  async function compile(): Promise<void> {
    const missing = [...wanted].filter(
      ([, { spec }]) => !patterns.has(expressionOf(spec) ?? '') && expressionOf(spec) !== null,
    )
    if (missing.length === 0) return
    for (const [service, { spec }] of missing) {
      const expression = expressionOf(spec)!
      try {
        patterns.set(expression, await compileRegex(expression))
      } catch (error) {
        log.error(`${service}: its health checks cannot be made: ${error instanceof Error ? error.message : error}`)
      }
    }
  }

  async function loadTls(): Promise<void> {
    if (overTls !== null || ![...wanted.values()].some(({ tls }) => tls !== null)) return
    overTls = deps.tlsDial ?? (await import('../system/tls-wire.ts')).tlsDial
  }

  /** Null: its certificates are not usable, and no data thread would take them either. */
  function transportOf(name: string, { spec, tls }: Wanted): Checking['transport'] | null {
    if (tls === null) return { key: 'plain', dial: plain, scheme: 'http' }
    const options = tlsOptions(spec, tls)
    const key = JSON.stringify(options)
    const known = transports.get(name)
    if (known?.key === key) return known
    try {
      const made = { key, dial: overTls!(options), scheme: 'https' } as const
      transports.set(name, made)
      return made
    } catch (error) {
      log.error(`${name}: its health checks cannot be made: ${error instanceof Error ? error.message : error}`)
      return null
    }
  }

  function checkingOf(name: string, each: Wanted): readonly (readonly [string, Checking])[] {
    const expression = expressionOf(each.spec)
    if (expression !== null && !patterns.has(expression)) return []
    const transport = transportOf(name, each)
    return transport === null ? [] : [[name, { spec: each.spec, transport }]]
  }

  function put(): void {
    if (isOver || engine === null) return
    const known = engine.status().map(({ name }) => name)
    const able = new Map([...wanted].flatMap(([name, each]) => checkingOf(name, each)))
    engine.configure(able)
    for (const name of able.keys()) engine.follow(name, endpointsOf(name))
    for (const name of transports.keys()) if (!able.has(name)) transports.delete(name)
    for (const name of new Set([...known, ...wanted.keys()])) changed(name)
    lookAgain()
  }

  return {
    applied(snapshot, of) {
      wanted = checkedOf(snapshot)
      endpointsOf = name => of(snapshot.services[name]!)
      if (engine === null && wanted.size === 0) return
      void Promise.all([engine ?? load(), loadTls(), compile()]).then(put, (error: unknown) =>
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

interface Wanted {
  readonly spec: HealthSpec
  /** Null: connections are plain. */
  readonly tls: TlsSpec | null
}

function checkedOf({ services }: Snapshot): ReadonlyMap<string, Wanted> {
  const checked = new Map<string, Wanted>()
  for (const { name, kind, health, tls } of Object.values(services))
    if (kind === 'named' && health !== undefined)
      checked.set(name, { spec: health, tls: (health.secured ? tls : undefined) ?? null })
  return checked
}

function tlsOptions({ check }: HealthSpec, { pem, serverName, minVersion }: TlsSpec): TlsOptions {
  const { ca = null, cert = null, key = null } = pem ?? {}
  const alpn = check.kind === 'tcp' ? [] : check.kind === 'grpc' ? ['h2'] : [check.protocol]
  return { ca, cert, key, serverName, minVersion, alpn }
}

/** Null: there is none. */
function expressionOf({ check }: HealthSpec): string | null {
  return check.kind === 'http' && check.body?.kind === 'regex' ? check.body.value : null
}
