import { setTimeout as sleep } from 'node:timers/promises'
import type { ConsulApi } from '../consul.ts'
import { watchConsul } from '../consul-watch.ts'
import type { AgentLog } from '../log.ts'
import type { KnownAgent } from './other-agents.ts'

/** The name that agents have in Consul. */
export const AGENT_SERVICE = 'outrigger-agent'

const BEAT_MS = 5_000
const TTL_S = 20
const FORGOTTEN = '1h'
const PAUSE_MS = 1_000
const MAX_AGENTS = 2_000

export interface RegistrationDeps {
  readonly consul: ConsulApi
  readonly host: string
  readonly version: string
  /** Where other agents reach this one; null: they cannot. */
  readonly advertise: { readonly address: string; readonly port: number } | null
  readonly log: AgentLog
}

export interface Registration {
  /** The other agents in Consul, as it said last. */
  others(): readonly KnownAgent[]
  start(): void
  stop(): Promise<void>
}

interface Entry {
  readonly Node: { readonly Address: string }
  readonly Service: {
    readonly ID: string
    readonly Address: string
    readonly Port: number
    readonly Meta: Readonly<Record<string, string>> | null
  }
  readonly Checks: readonly { readonly Status: string; readonly CheckID: string }[]
}

/** Registers this agent in Consul, with a check that it renews, and follows which others are there. */
export function registration({ consul, host, version, advertise, log }: RegistrationDeps): Registration {
  const id = `${AGENT_SERVICE}-${advertise === null ? host : `${advertise.address}-${advertise.port}`}`
  const end = new AbortController()
  const { signal } = end
  let others: readonly KnownAgent[] = []
  let running: Promise<unknown> = Promise.resolve()

  async function beats(): Promise<void> {
    let told = ''
    while (!signal.aborted) {
      const pauseMs = await beat().then(
        () => BEAT_MS,
        (error: Error) => {
          if (error.message !== told && !signal.aborted)
            log.warn('this agent cannot be registered in Consul', { reason: error.message })
          told = error.message
          return PAUSE_MS
        },
      )
      if (pauseMs === BEAT_MS) told = ''
      await sleep(pauseMs * (0.8 + Math.random() * 0.2), undefined, { signal }).catch(() => {})
    }
  }

  async function register(): Promise<void> {
    await consul.call('PUT', 'agent/service/register', {
      query: { 'replace-existing-checks': 'true' },
      body: {
        ID: id,
        Name: AGENT_SERVICE,
        ...(advertise === null ? {} : { Address: advertise.address, Port: advertise.port }),
        Meta: { version, host },
        Check: {
          Name: 'the agent says that it lives',
          TTL: `${TTL_S}s`,
          Status: 'passing',
          DeregisterCriticalServiceAfter: FORGOTTEN,
        },
      },
      signal,
    })
  }

  let registered = false
  async function beat(): Promise<void> {
    if (!registered) await register()
    registered = false
    const said = await consul.call('PUT', `agent/check/pass/service:${id}`, { signal })
    // Not found: Consul has lost its memory.
    registered = said.status !== 404
  }

  function take(entries: readonly Entry[]): void {
    others = entries
      .filter(({ Service }) => Service.ID !== id)
      .slice(0, MAX_AGENTS)
      .map(({ Node, Service, Checks }) => ({
        host: Service.Meta?.host ?? '',
        version: Service.Meta?.version ?? '',
        address: Service.Port === 0 ? '' : `${Service.Address || Node.Address}:${Service.Port}`,
        isPassing: Checks.every(({ Status }) => Status === 'passing'),
      }))
  }

  const follow = () =>
    watchConsul(
      consul,
      {
        path: `health/service/${AGENT_SERVICE}`,
        onAnswer: answer => take((answer.json() ?? []) as readonly Entry[]),
        onTrouble: reason => log.warn('the other agents are not known anew', { reason }),
      },
      signal,
    )

  return {
    others: () => others,
    start() {
      running = Promise.all([beats(), follow()])
    },
    async stop() {
      end.abort()
      await running
      await consul.call('PUT', `agent/service/deregister/${id}`).catch(() => {})
    },
  }
}
