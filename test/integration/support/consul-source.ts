import type { ConsulServiceSpec, ConsulSpec, EndpointSpec } from '../../../mesh-config/snapshot.ts'
import { consulClient } from '../../../proxy/discovery/consul/client.ts'
import type { ConsulClient } from '../../../proxy/discovery/consul/consul-client.ts'
import { consulSource } from '../../../proxy/discovery/consul/source.ts'
import { systemClock, systemRandom } from '../../../proxy/system/clock.ts'
import { logTape } from '../../support/log-tape.ts'
import type { ConsulAgent } from './consul.ts'
import { until } from './until.ts'

/** Our side of Consul, without the rest of the proxy. */
export interface Ours extends Disposable {
  readonly client: ConsulClient
  readonly log: ReturnType<typeof logTape>
  watch(service: string, over?: Partial<ConsulServiceSpec>): Followed
}

export interface Followed {
  /** All it said: sets as `describe` writes them, troubles as `trouble: ...`. */
  readonly said: string[]
  /** The set it said last; null: none yet. */
  latest(): readonly EndpointSpec[] | null
  /** The last thing it said was trouble. */
  inTrouble(): boolean
  /** Resolves when the latest set reads so; with how many milliseconds ago, at most, it was not yet so. */
  reads(expected: string, timeoutMs?: number): Promise<number>
  troubled(pattern: RegExp, timeoutMs?: number): Promise<string>
  stop(): void
}

export const deps = { clock: systemClock, random: systemRandom }

export function ours(agent: Pick<ConsulAgent, 'address'>, over: Partial<ConsulSpec> = {}): Ours {
  const log = logTape()
  const spec: ConsulSpec = {
    address: agent.address,
    token: null,
    tokenFile: null,
    datacenter: null,
    tls: { ca: null, cert: null, key: null, serverName: null },
    maxStaleMs: 10_000,
    waitMs: 300_000,
    services: [],
    onDemand: null,
    idleMs: 600_000,
    addressKind: 'service',
    ...over,
  }
  const client = consulClient(spec, { ...deps, log })
  const ends: AbortController[] = []
  return {
    client,
    log,
    watch(service, more = {}) {
      const end = new AbortController()
      ends.push(end)
      const source = consulSource(
        { service, name: service, datacenter: null, tags: [], addressKind: 'service', failover: [], ...more },
        client,
        {
          ...deps,
          log,
        },
      )
      return follow(source, end)
    },
    [Symbol.dispose]() {
      for (const end of ends) end.abort()
      client.close()
    },
  }
}

function follow(source: ReturnType<typeof consulSource>, end: AbortController): Followed {
  const said: string[] = []
  let latest: readonly EndpointSpec[] | null = null
  let changedAt = 0
  source.watch(
    {
      onSet(endpoints) {
        if (latest === null || describe(endpoints) !== describe(latest)) changedAt = performance.now()
        latest = endpoints
        said.push(describe(endpoints))
      },
      isDoubted: () => false,
      onTrouble: reason => void said.push(`trouble: ${reason}`),
    },
    end.signal,
  )
  return {
    said,
    latest: () => latest,
    inTrouble: () => said.at(-1)?.startsWith('trouble:') ?? false,
    async reads(expected, timeoutMs) {
      const from = performance.now()
      await until(`the set "${expected}"`, () => latest !== null && describe(latest) === expected, timeoutMs).catch(
        (error: Error) => {
          throw new Error(`${error.message}; it said:\n${said.slice(-8).join('\n')}`)
        },
      )
      return Math.max(0, changedAt - from)
    },
    troubled: (pattern, timeoutMs) =>
      until(
        `trouble like ${pattern}`,
        () => said.findLast(line => line.startsWith('trouble:') && pattern.test(line)),
        timeoutMs,
      ),
    stop: () => end.abort(),
  }
}

/** `9001, 9002 critical (why)`: ports, with what is out of the ordinary. */
export function describe(endpoints: readonly EndpointSpec[]): string {
  return endpoints
    .map(({ port, weight, priority, health, healthReason }) => {
      const more = [
        ...(weight === 1 ? [] : [`x${weight}`]),
        ...(priority === 0 ? [] : [`p${priority}`]),
        ...(health === 'passing' ? [] : [health]),
      ]
      return [port, ...more, ...(healthReason === '' ? [] : [`(${healthReason})`])].join(' ')
    })
    .join(', ')
}
