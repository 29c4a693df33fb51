import type { ConsulServiceSpec, EndpointSpec } from '../../../mesh-config/snapshot.ts'
import type { EndpointSource, EndpointWatcher } from '../../core/source.ts'
import { type Answer, type Asked, ConsulTrouble } from './answer.ts'
import type { ConsulClient, ConsulDeps, Member } from './consul-client.ts'
import { instancesOf } from './endpoints.ts'
import { watchConsul } from './watch.ts'

/** Imported, `node:util` would load all that it has. */
const isSame = (a: unknown, b: unknown) => process.getBuiltinModule('node:util').isDeepStrictEqual(a, b)

/** One datacenter of a service, or of another one that stands in for it. */
interface Part {
  /** In Consul. */
  readonly name: string
  readonly datacenter: string | null
  /** Where it stands in for the service; undefined: it is the service. */
  readonly from: string | undefined
  readonly priority: number
  /** Null: it has not answered yet. */
  endpoints: readonly EndpointSpec[] | null
  /** Why it gives no answer; empty: it does. */
  trouble: string
  /** Why its servers do not answer, whatever the agent still says of them. */
  serverTrouble: string
  /** Its last answer was marked as incomplete for the token. */
  filtered: boolean
  /** The last warning about instances that cannot be called. */
  skipped: string
}

/**
 * The instances of a service in Consul: those of its datacenter, and those of its failover datacenters with priority 1,
 * 2, ... Delivers when each of them has answered or is in trouble, and then whenever one answers; the same array as
 * before where nothing changed. An empty set: there is no such service.
 */
export function consulSource(service: ConsulServiceSpec, client: ConsulClient, deps: ConsulDeps): EndpointSource {
  const { name, datacenter, failover, standIns = [] } = service
  const alias = name === service.service ? '' : ` ${name}`
  return {
    name: `consul${alias}${datacenter === null ? '' : ` in ${datacenter}`}`,
    watch(watcher, signal) {
      const own = [datacenter, ...failover].map((where, priority) => ({ name, datacenter: where, priority }))
      const parts = [...own, ...standIns].map((part): Part => {
        return {
          from: undefined,
          ...part,
          endpoints: null,
          trouble: '',
          serverTrouble: '',
          filtered: false,
          skipped: '',
        }
      })
      const delivery = deliveryOf(parts, watcher)
      for (const part of parts) void watchPart(part, service, client, deps, delivery, signal)
    },
  }
}

interface Delivery {
  /** The last delivery is doubted. */
  isDoubted(): boolean
  /** One datacenter has answered. `changed`: with other endpoints than the last time. */
  answered(changed: boolean): void
  troubled(reason: string): void
}

function deliveryOf(parts: readonly Part[], watcher: EndpointWatcher): Delivery {
  let merged: readonly EndpointSpec[] | null = null

  function deliver(changed: boolean): void {
    const heard = parts.every(({ endpoints, trouble }) => endpoints !== null || trouble !== '')
    if (heard && parts.some(({ endpoints }) => endpoints !== null)) {
      if (changed || merged === null) merged = merge(parts)
      // As long as the own datacenter gives no answer, empty others do not prove that there is no instance.
      if (merged.length > 0 || parts[0]!.endpoints !== null) watcher.onSet(merged)
    }
    const bad = parts.find(({ trouble }) => trouble !== '')
    if (bad !== undefined) watcher.onTrouble(bad.trouble)
  }

  return {
    isDoubted: () => watcher.isDoubted(),
    answered: deliver,
    troubled(reason) {
      if (merged === null) deliver(false)
      else watcher.onTrouble(reason)
    },
  }
}

/** An address in several datacenters counts in the first one. */
function merge(parts: readonly Part[]): readonly EndpointSpec[] {
  if (parts.length === 1) return parts[0]!.endpoints!
  const byAddress = new Map<string, EndpointSpec>()
  for (const { endpoints } of parts) {
    for (const endpoint of endpoints ?? [])
      if (!byAddress.has(keyOf(endpoint))) byAddress.set(keyOf(endpoint), endpoint)
  }
  return [...byAddress.values()]
}

const keyOf = ({ address, port }: EndpointSpec) => `${address} ${port}`

async function watchPart(
  part: Part,
  service: ConsulServiceSpec,
  client: ConsulClient,
  deps: ConsulDeps,
  delivery: Delivery,
  signal: AbortSignal,
) {
  const where = { datacenter: part.datacenter }
  const { spec, parking } = client
  /** Identifies this watch to the limit of waiting queries (parking.ts). */
  const holder = {}
  let member: Member | null = null

  /** Of the query under way: aborted when the servers may have other data than it waits for. */
  let renewal = new AbortController()
  const unfollow = client.pulse(where).follow({
    onTrouble(reason) {
      part.serverTrouble = reason
      // Until its first answer its own query reports what is wrong.
      if (reason !== '' && part.endpoints !== null) onTrouble(reason)
    },
    onRenewed: () => renewal.abort(),
  })

  async function ask(asked: Asked): Promise<Answer> {
    const own = new AbortController()
    renewal = own
    if (asked.index > 0) {
      const either = AbortSignal.any([signal, own.signal])
      if (parking.mayPark(holder)) {
        member?.leave()
        member = null
        return client.health(part.name, where, asked, either)
      }
      member ??= client.crowd(where).join(part.name)
      await member.changed(asked.waitMs, either)
    }
    const now = { ...asked, index: 0 }
    const answer = await client.health(part.name, where, now, signal)
    return own.signal.aborted ? client.health(part.name, where, now, signal) : answer
  }

  function onAnswer(json: unknown, answer: Answer): void {
    refuseFiltered(part, json, answer, spec)
    const { endpoints, skipped } = instancesOf(json, service, part.priority, part.from)
    const saying =
      skipped.length === 0
        ? ''
        : `${skipped.slice(0, 3).join(', ')}${skipped.length > 3 ? ` and ${skipped.length - 3} more` : ''}`
    if (endpoints.length === 0 && saying !== '')
      throw new Error(`no instance of ${part.name} in Consul can be called: ${saying}`)
    if (saying !== part.skipped && saying !== '')
      deps.log.warn(`instances in Consul that cannot be called: ${saying}`, { service: service.name })
    part.skipped = saying
    // Only the output of a check may have changed.
    const changed = !isSame(part.endpoints, endpoints)
    if (changed) part.endpoints = endpoints
    if (changed) member?.found()
    answered(changed)
  }

  function isNews(json: unknown): boolean {
    return !isSame(part.endpoints, instancesOf(json, service, part.priority, part.from).endpoints)
  }

  function answered(changed: boolean): void {
    part.trouble = part.serverTrouble
    delivery.answered(changed)
  }

  function onTrouble(reason: string): void {
    part.trouble = reason
    delivery.troubled(reason)
  }

  const watched = {
    ask,
    onAnswer,
    isNews,
    onSame: () => answered(false),
    onTrouble,
    needsConfirming: delivery.isDoubted,
  }
  await watchConsul(watched, { ...deps, waitMs: spec.waitMs, maxStaleMs: spec.maxStaleMs }, signal)
  unfollow()
  parking.leave(holder)
  ;(member as Member | null)?.leave()
}

/** Consul leaves out what the token may not see. Throws, so that no endpoint is lost because of a token. */
function refuseFiltered(
  part: Part,
  json: unknown,
  { filtered, deniesByDefault }: Answer,
  { token, tokenFile }: ConsulClient['spec'],
): void {
  const { name } = part
  const empty = Array.isArray(json) && json.length === 0
  if (empty && deniesByDefault && token === null && tokenFile === null)
    throw new ConsulTrouble(
      `Consul shows no instance of ${name}: without a token it denies everything; set discovery.consul.token or tokenFile`,
      403,
    )
  if (filtered && (empty || (part.endpoints !== null && !part.filtered)))
    throw new ConsulTrouble(
      `Consul holds back instances of ${name}: the token lacks service:read for it, or node:read for their nodes`,
      403,
    )
  part.filtered = filtered
}
