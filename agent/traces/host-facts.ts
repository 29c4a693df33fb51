import { hostname } from 'node:os'

/** What is true of every span of this host. */
export interface HostFacts {
  /** Resource attributes; another map when there is more of them. */
  attributes(): ReadonlyMap<string, string>
  stop(): void
}

export interface HostFactsOptions {
  /** Of the agent file and the environment: they count over what is found out. */
  readonly given: ReadonlyMap<string, string>
  /** What `/v1/agent/self` of the Consul agent of this host answers; null: there is none. */
  readonly consulSelf: (() => Promise<unknown>) | null
}

const ASK_AGAIN_MS = 30_000
/** Usual names of the zone in the meta data of a node. */
const ZONE_KEYS = ['zone', 'availability_zone', 'availability-zone']

export function hostFacts({ given, consulSelf }: HostFactsOptions): HostFacts {
  const own = new Map([['host.name', hostname()], ...given])
  let attributes: ReadonlyMap<string, string> = own
  let timer: NodeJS.Timeout | null = null

  async function ask(self: () => Promise<unknown>): Promise<void> {
    const found = await self().then(factsOf, () => null)
    if (found !== null) attributes = new Map([...own, ...found, ...given])
    // A node keeps its name; Consul may only come up later than the agent.
    else timer = setTimeout(() => void ask(self), ASK_AGAIN_MS).unref()
  }

  if (consulSelf !== null) void ask(consulSelf)
  return {
    attributes: () => attributes,
    stop() {
      if (timer !== null) clearTimeout(timer)
    },
  }
}

/** Null: it is no such answer. */
function factsOf(answer: unknown): Map<string, string> | null {
  const config = mapIn(answer, 'Config')
  const meta = mapIn(answer, 'Meta')
  const facts = new Map<string, string>()
  const add = (name: string, value: unknown) => typeof value === 'string' && value !== '' && facts.set(name, value)
  add('consul.node', config.NodeName)
  add('consul.datacenter', config.Datacenter)
  add(
    'cloud.availability_zone',
    ZONE_KEYS.map(key => meta[key]).find(zone => zone),
  )
  return facts.size === 0 ? null : facts
}

function mapIn(value: unknown, key: string): Readonly<Record<string, unknown>> {
  const found = typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[key] : null
  return typeof found === 'object' && found !== null ? (found as Record<string, unknown>) : {}
}
