import { backOffMs, pause } from '../pause.ts'
import { type Answer, isDenied, jsonOf } from './answer.ts'
import type { ConsulClient, ConsulDeps } from './consul-client.ts'
import type { LocalityEntry } from './entry.ts'
import { zoneOf } from './zone.ts'

/** The fields of `/v1/agent/self` that are used. */
interface Self {
  readonly Meta?: Readonly<Record<string, string>> | null
  readonly Config?: { readonly Datacenter?: string } | null
  readonly DebugConfig?: { readonly HTTPMaxConnsPerClient?: number; readonly Locality?: LocalityEntry | null } | null
}

const MAX_BACK_OFF_MS = 30_000

/**
 * The zone of the agent's node; `isIn` hears its datacenter (empty: not known). Asks until there is an answer or the client is closed. Null: the node has none, or the
 * token may not ask (agent:read). Never rejects.
 */
export async function agentZone(
  client: ConsulClient,
  { clock, random, log, isIn }: Pick<ConsulDeps, 'clock' | 'random' | 'log'> & { isIn?: (datacenter: string) => void },
): Promise<string | null> {
  for (let failures = 1; !client.closed.aborted; failures++) {
    try {
      const { Meta, Config, DebugConfig } = jsonOf(await client.self(client.closed)) as Self
      isIn?.(Config?.Datacenter ?? '')
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

/** How many connections the agent takes from one host; 0: any number; null: not known. */
export function connectionsAllowed(self: Answer): number | null {
  const allowed = (jsonOf(self) as Self).DebugConfig?.HTTPMaxConnsPerClient
  return typeof allowed === 'number' ? Math.max(0, allowed) : null
}

/** The names of all services in the catalog that the token may see. */
export interface CatalogNames {
  has(service: string): boolean
  /** The list is complete: a name that is not in it does not exist. */
  readonly whole: boolean
}

/** Asks the leader: a server that lags behind may not know a service that was registered just now. */
export async function catalogNames(client: ConsulClient, signal: AbortSignal): Promise<CatalogNames> {
  const { datacenter, token, tokenFile } = client.spec
  const answer = await client.services({ datacenter }, { index: 0, waitMs: 0, stale: false }, signal)
  const names = jsonOf(answer)
  if (typeof names !== 'object' || names === null) throw new Error('the answer of Consul is no list of services')
  // Consul matches service names without case.
  const all = new Set(Object.keys(names).map(name => name.toLowerCase()))
  const whole = !answer.filtered && !(answer.deniesByDefault && token === null && tokenFile === null)
  return { has: service => all.has(service), whole }
}
