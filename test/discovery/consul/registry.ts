import type { ConsulSpec } from '../../../mesh-config/snapshot.ts'
import { type Answer, type Asked, ConsulTrouble } from '../../../proxy/discovery/consul/answer.ts'
import type { ConsulClient, Where } from '../../../proxy/discovery/consul/consul-client.ts'
import { crowdOf } from '../../../proxy/discovery/consul/crowd.ts'
import type { CheckEntry, Entry } from '../../../proxy/discovery/consul/entry.ts'
import { parking } from '../../../proxy/discovery/consul/parking.ts'
import { pulseOf } from '../../../proxy/discovery/consul/pulse.ts'
import { seeded } from '../../support/random.ts'
import { answer, type VirtualTime } from './tape.ts'

/**
 * A registry in memory that answers blocking queries as Consul does, with a network between that can fail: for what a
 * real one cannot be made to do at will.
 */
export interface Registry {
  put(service: string, id: string, entry: Entry, datacenter?: string): void
  drop(service: string, id: string, datacenter?: string): void
  /** Nothing is left, and its index begins anew. */
  lose(): void
  /** Every question fails so, also those that wait; null: no more. */
  fail(error: Error | null, datacenter?: string): void
  /** The agent answers questions for instances that wait from a copy: they do not notice when the servers fail. */
  copied: boolean
  /** What the headers of the next answers say. */
  headers: Partial<Omit<Answer, 'body' | 'index'>>
  /**
   * What was asked since the last call, except for the servers: `health orders`, `checks`, `services`, with ` waits`
   * behind where it waits.
   */
  asked(): string[]
  /** Questions that wait. */
  waiting(): number
}

interface Waiting {
  readonly datacenter: string
  /** On the copy of the agent. */
  readonly copied: boolean
  readonly look: () => void
  readonly fail: (error: Error) => void
}

interface Datacenter {
  index: number
  readonly services: Map<string, Map<string, Entry>>
  readonly touched: Map<string, number>
  failure: Error | null
}

export const consulSpec: ConsulSpec = {
  address: 'http://127.0.0.1:8500',
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
}

export function registry(
  time: VirtualTime,
  spec: Partial<ConsulSpec> = {},
): { registry: Registry; client: ConsulClient } {
  const datacenters = new Map<string, Datacenter>()
  const waiting = new Set<Waiting>()
  let asked: string[] = []
  const at = (name: string | null) => {
    const known = datacenters.get(name ?? 'dc1')
    if (known !== undefined) return known
    const fresh: Datacenter = { index: 10, services: new Map(), touched: new Map(), failure: null }
    datacenters.set(name ?? 'dc1', fresh)
    return fresh
  }
  const wake = () => {
    for (const { look } of [...waiting]) look()
  }

  /** `read`: the index of what is asked for, and the answer. */
  function question(
    what: string,
    { datacenter }: Where,
    { index, waitMs }: Asked,
    signal: AbortSignal,
    read: (from: Datacenter) => [number, unknown],
  ) {
    if (what !== 'servers') asked.push(`${what}${index > 0 ? ' waits' : ''}`)
    return new Promise<Answer>((resolve, reject) => {
      const end = () => {
        waiting.delete(self)
        timer.cancel()
      }
      const say = () => {
        const [now, body] = read(at(datacenter))
        end()
        resolve(answer(body, { ...self_.headers, index: now, streamed: self.copied }))
      }
      const timer = time.clock.timer(say)
      const fail = (error: Error) => {
        end()
        reject(error)
      }
      const look = () => {
        const { failure } = at(datacenter)
        if (failure !== null && !self.copied) return fail(failure)
        if (read(at(datacenter))[0] > index) say()
      }
      const copied = self_.copied && what.startsWith('health') && index > 0
      const self: Waiting = { datacenter: datacenter ?? 'dc1', copied, look, fail }
      waiting.add(self)
      signal.addEventListener('abort', () => fail(new ConsulTrouble('no longer wanted', 0)))
      if (index > 0) timer.arm(waitMs)
      else if (at(datacenter).failure === null) return say()
      look()
    })
  }

  const entriesOf = (from: Datacenter, name: string) => [...(from.services.get(name)?.values() ?? [])]
  const self_: Registry = {
    copied: false,
    headers: {},
    put(service, id, entry, datacenter) {
      const to = at(datacenter ?? null)
      const instances = to.services.get(service) ?? new Map<string, Entry>()
      to.services.set(service, instances.set(id, entry))
      to.touched.set(service, ++to.index)
      wake()
    },
    drop(service, id, datacenter) {
      const to = at(datacenter ?? null)
      if (to.services.get(service)?.delete(id)) to.touched.set(service, ++to.index)
      wake()
    },
    lose() {
      for (const name of datacenters.keys())
        datacenters.set(name, {
          index: 2,
          services: new Map(),
          touched: new Map(),
          failure: datacenters.get(name)!.failure,
        })
    },
    fail(error, datacenter) {
      at(datacenter ?? null).failure = error
      if (error !== null)
        for (const each of [...waiting]) if (each.datacenter === (datacenter ?? 'dc1') && !each.copied) each.fail(error)
    },
    waiting: () => waiting.size,
    asked() {
      const all = asked
      asked = []
      return all
    },
  }

  const places = parking(time.clock)
  const client = {
    spec: { ...consulSpec, ...spec },
    health: (name: string, where: Where, how: Asked, signal: AbortSignal) =>
      question(
        `health ${name}${where.datacenter === null ? '' : ` in ${where.datacenter}`}`,
        where,
        how,
        signal,
        from => [from.touched.get(name) ?? 1, entriesOf(from, name)],
      ),
    checks: (filter: string, where: Where, how: Asked, signal: AbortSignal) =>
      question('checks', where, how, signal, from => [from.index, checksOf(from, filter)]),
    services: (where: Where, how: Asked, signal: AbortSignal) =>
      question('services', where, how, signal, from => [
        from.index,
        Object.fromEntries([...from.services.keys()].map(name => [name, []])),
      ]),
    servers: (where: Where, how: Asked, signal: AbortSignal) => question('servers', where, how, signal, () => [2, []]),
    pulse: (where: Where) => pulse(where.datacenter),
    parking: places,
    crowd: (where: Where) => crowd(where.datacenter),
  } as unknown as ConsulClient
  const crowds = new Map<string | null, ReturnType<typeof crowdOf>>()
  const crowd = (datacenter: string | null) => {
    const made = crowds.get(datacenter) ?? crowdOf(client, { datacenter }, { clock: time.clock, random: seeded(3) })
    crowds.set(datacenter, made)
    return made
  }
  const pulses = new Map<string | null, ReturnType<typeof pulseOf>>()
  const pulse = (datacenter: string | null) => {
    const made = pulses.get(datacenter) ?? pulseOf(client, { datacenter }, { clock: time.clock, random: seeded(4) })
    pulses.set(datacenter, made)
    return made
  }
  return { registry: self_, client }
}

/** As the filter of crowd.ts would have it; a check changes with its instance. */
function checksOf({ services, touched }: Datacenter, filter: string): object[] {
  const names = new RegExp(/`(.*)`/.exec(filter)![1]!)
  return [...services]
    .filter(([name]) => names.test(name))
    .flatMap(([name, instances]) =>
      [...instances].flatMap(([id, { Checks }]) =>
        (Checks ?? []).filter(isOfService).map(check => ({
          ServiceName: name,
          Node: 'n1',
          CheckID: `${check.CheckID} of ${id} ${check.Status}`,
          ModifyIndex: touched.get(name),
        })),
      ),
    )
}

function isOfService({ CheckID }: CheckEntry): boolean {
  return CheckID !== 'serfHealth'
}
