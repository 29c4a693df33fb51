import type { Instance, Plan } from '../mesh/plan.ts'
import { type EndpointState, type Scrape, scrape } from './scrape.ts'
import { addTally, type Change, newTally, quantile, since, type Tally, tallyOf } from './tally.ts'

/** What is shown, and nothing of how it is shown. */
export interface Picture {
  readonly services: readonly ServicePicture[]
  readonly instances: readonly InstancePicture[]
  /** Attempts at endpoints that failed since the start: what retries made good. */
  readonly failedAttempts: number
}

export interface ServicePicture {
  readonly name: string
  readonly perSecond: number
  /** Since the start. */
  readonly total: { readonly requests: number; readonly failed: number }
  readonly p50Ms: number | null
  readonly p99Ms: number | null
  /** p99 of each look, oldest first. */
  readonly p99History: readonly number[]
}

export interface InstancePicture {
  readonly instance: Instance
  /** Its own sidecar does not answer: `down`. Else what those who call it say of it. */
  readonly isUp: boolean
  readonly states: readonly EndpointState[]
  /** Of the calls to its service. */
  readonly share: number
  readonly perSecond: number
  readonly active: number
  readonly p50Ms: number | null
}

export interface Observer {
  /** Looks at every sidecar now. */
  look(): Promise<void>
  picture(): Picture
  /** Attempts at each instance since the start. */
  attempts(): ReadonlyMap<string, number>
  /** What the callers say of an instance now. */
  states(name: string): readonly EndpointState[]
}

const RATE_WINDOW_MS = 2_500
const QUANTILE_WINDOW_MS = 5_000
const HISTORY = 120

export function observer(plan: Plan, serviceNames: readonly string[]): Observer {
  const before = new Map<string, Map<string, number>>(plan.instances.map(({ name }) => [name, new Map()]))
  const nameAt = new Map(plan.instances.map(({ name, ports }) => [`127.0.0.1:${ports.inbound}`, name]))
  const history = new Map<string, number[]>(serviceNames.map(name => [name, []]))
  const totals = new Map<string, Tally>()
  const serviceTotals = new Map<string, Tally>()
  let last = new Map<string, Scrape | null>()
  let changes: { readonly at: number; readonly change: Change }[] = [
    { at: performance.now(), change: { services: new Map(), endpoints: new Map() } },
  ]
  let looking: Promise<void> = Promise.resolve()

  async function lookNow(): Promise<void> {
    const scrapes = await Promise.all(
      plan.instances.map(async instance => [instance, await scrape(instance.ports.admin)] as const),
    )
    const at = performance.now()
    const services = new Map<string, Tally>()
    const endpoints = new Map<string, Tally>()
    for (const [{ name, service }, seen] of scrapes) {
      if (seen === null) continue
      const change = since(before.get(name)!, seen, service)
      for (const [key, tally] of change.services) {
        addTally(tallyOf(services, key), tally)
        addTally(tallyOf(serviceTotals, key), tally)
      }
      for (const [address, tally] of change.endpoints) {
        const target = nameAt.get(address) ?? address
        addTally(tallyOf(endpoints, target), tally)
        addTally(tallyOf(totals, target), tally)
      }
    }
    last = new Map(scrapes.map(([{ name }, seen]) => [name, seen]))
    changes = [
      ...changes.filter(({ at: then }) => then > at - QUANTILE_WINDOW_MS - 2_000),
      { at, change: { services, endpoints } },
    ]
    for (const name of serviceNames) {
      const kept = history.get(name)!
      kept.push(quantile(windowOf('services', name, RATE_WINDOW_MS).tally, 0.99) ?? 0)
      if (kept.length > HISTORY) kept.shift()
    }
  }

  /** The sum of what happened in the last so many milliseconds, and how long that really was. */
  function windowOf(
    kind: keyof Change,
    key: string,
    windowMs: number,
  ): { readonly tally: Tally; readonly seconds: number } {
    const tally = newTally()
    const end = changes.at(-1)!.at
    let begin = end
    for (let index = changes.length - 1; index > 0 && begin > end - windowMs; index--) {
      const found = changes[index]!.change[kind].get(key)
      if (found !== undefined) addTally(tally, found)
      begin = changes[index - 1]!.at
    }
    return { tally, seconds: Math.max(0.001, (end - begin) / 1000) }
  }

  function servicePicture(name: string): ServicePicture {
    const { tally, seconds } = windowOf('services', name, RATE_WINDOW_MS)
    const slow = windowOf('services', name, QUANTILE_WINDOW_MS).tally
    return {
      name,
      perSecond: tally.requests / seconds,
      total: tallyOf(serviceTotals, name),
      p50Ms: quantile(slow, 0.5),
      p99Ms: quantile(slow, 0.99),
      p99History: history.get(name)!,
    }
  }

  function states(name: string): EndpointState[] {
    const address = `127.0.0.1:${plan.instances.find(instance => instance.name === name)!.ports.inbound}`
    return [...last.values()].flatMap(seen => seen?.endpoints.filter(endpoint => endpoint.address === address) ?? [])
  }

  function instancePicture(instance: Instance): InstancePicture {
    const { name, service } = instance
    const { tally, seconds } = windowOf('endpoints', name, RATE_WINDOW_MS)
    const peers = plan.instances.filter(other => other.service === service)
    const all = peers.reduce((sum, peer) => sum + windowOf('endpoints', peer.name, RATE_WINDOW_MS).tally.requests, 0)
    const seen = states(name)
    return {
      instance,
      isUp: last.get(name) !== null,
      states: seen,
      share: all === 0 ? 0 : tally.requests / all,
      perSecond: tally.requests / seconds,
      active: seen.reduce((sum, { active }) => sum + active, 0),
      p50Ms: quantile(tally, 0.5),
    }
  }

  return {
    look() {
      looking = looking.then(lookNow)
      return looking
    },
    picture: () => ({
      services: serviceNames.map(servicePicture),
      instances: plan.instances.filter(({ service }) => service !== 'web').map(instancePicture),
      failedAttempts: [...totals.values()].reduce((sum, { failed }) => sum + failed, 0),
    }),
    attempts: () => new Map([...totals].map(([name, { requests }]) => [name, requests])),
    states,
  }
}
