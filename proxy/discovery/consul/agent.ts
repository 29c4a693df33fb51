import { type Answer, isDenied, jsonOf } from './answer.ts'
import type { ConsulClient, ConsulDeps } from './client.ts'
import type { LocalityEntry } from './entry.ts'
import { backOffMs, pause } from './pause.ts'
import { zoneOf } from './zone.ts'

/** What `/v1/agent/self` says, as far as it is used. */
interface Self {
  readonly Meta?: Readonly<Record<string, string>> | null
  readonly DebugConfig?: { readonly HTTPMaxConnsPerClient?: number; readonly Locality?: LocalityEntry | null } | null
}

const MAX_BACK_OFF_MS = 30_000

/**
 * The zone of the node of our agent, asked for until there is an answer or the client is closed. Null: it has none, or
 * the token may not ask (agent:read). Never rejects.
 */
export async function agentZone(
  client: ConsulClient,
  { clock, random, log }: Pick<ConsulDeps, 'clock' | 'random' | 'log'>,
): Promise<string | null> {
  for (let failures = 1; !client.closed.aborted; failures++) {
    try {
      const { Meta, DebugConfig } = jsonOf(await client.self(client.closed)) as Self
      return zoneOf(null, { meta: Meta, locality: DebugConfig?.Locality }) || null
    } catch (error) {
      if (isDenied(error)) {
        log.info('the zone of our Consul node is not known: the token lacks agent:read')
        return null
      }
      await pause(clock, backOffMs(failures, MAX_BACK_OFF_MS, random), client.closed)
    }
  }
  return null
}

/** How many connections the agent takes from one host; 0: any number; null: it does not say. */
export function connectionsAllowed(self: Answer): number | null {
  const allowed = (jsonOf(self) as Self).DebugConfig?.HTTPMaxConnsPerClient
  return typeof allowed === 'number' ? Math.max(0, allowed) : null
}

/** The names of all services in the catalog, as far as the token may see them. */
export interface CatalogNames {
  has(service: string): boolean
  /** Nothing was held back: a name that is not in it does not exist. */
  readonly whole: boolean
}

/** Asks the leader: a server that lags behind knows nothing of what was registered just now. */
export async function catalogNames(client: ConsulClient, signal: AbortSignal): Promise<CatalogNames> {
  const { datacenter, token, tokenFile } = client.spec
  const answer = await client.services({ datacenter }, { index: 0, waitMs: 0, stale: false }, signal)
  const names = jsonOf(answer)
  if (typeof names !== 'object' || names === null) throw new Error('the answer of Consul is no list of services')
  // Consul finds a service by its name in any case.
  const all = new Set(Object.keys(names).map(name => name.toLowerCase()))
  const whole = !answer.filtered && !(answer.deniesByDefault && token === null && tokenFile === null)
  return { has: service => all.has(service), whole }
}
