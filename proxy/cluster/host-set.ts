import type { EndpointSpec } from '../../mesh-config/snapshot.ts'
import type { EndpointsDelta } from '../core/channel.ts'
import type { Endpoint } from '../core/endpoint.ts'

/** What an update did to a host set. */
export interface HostSetChange {
  readonly added: readonly Endpoint[]
  /** The same endpoints; `spec` is the new one. */
  readonly changed: readonly { readonly endpoint: Endpoint; readonly before: EndpointSpec }[]
  readonly removed: readonly Endpoint[]
}

/**
 * The endpoints of a cluster at one moment. An address that stays keeps its Endpoint, with all that was learnt of it
 * and its warm connections, and only gets the new spec. Those that stay keep their positions; new ones come after them.
 */
export interface HostSet {
  /** Replaced, never changed, when an endpoint comes or goes. */
  readonly endpoints: readonly Endpoint[]
  change(delta: EndpointsDelta): HostSetChange
  /** A whole set; null: it equals the present one. */
  replace(specs: readonly EndpointSpec[]): HostSetChange | null
}

export function hostSet(create: (spec: EndpointSpec, name: string) => Endpoint): HostSet {
  const byName = new Map<string, Endpoint>()
  let endpoints: readonly Endpoint[] = []

  function change({ put, drop }: EndpointsDelta): HostSetChange {
    const added: Endpoint[] = []
    const changed: { readonly endpoint: Endpoint; readonly before: EndpointSpec }[] = []
    const removed = new Set<Endpoint>()
    for (const name of drop) {
      const endpoint = byName.get(name)
      if (endpoint === undefined) continue
      byName.delete(name)
      removed.add(endpoint)
    }
    for (const spec of put) {
      const name = endpointName(spec)
      const known = byName.get(name)
      if (known === undefined) {
        const endpoint = create(spec, name)
        byName.set(name, endpoint)
        added.push(endpoint)
      } else {
        changed.push({ endpoint: known, before: known.spec })
        known.spec = spec
      }
    }
    if (removed.size !== 0) endpoints = endpoints.filter(endpoint => !removed.has(endpoint))
    if (added.length !== 0) endpoints = endpoints.concat(added)
    return { added, changed, removed: [...removed] }
  }

  return {
    get endpoints() {
      return endpoints
    },
    change,
    replace(specs) {
      const before = endpoints.map(endpoint => endpoint.spec)
      const delta = deltaOf(before, specs)
      return delta === null ? null : change(delta)
    },
  }
}

/**
 * The one diff of endpoints: what turns `before` into `after`; null: nothing differs. An address that is named twice
 * counts once, by its last spec; the order does not count.
 */
export function deltaOf(before: readonly EndpointSpec[], after: readonly EndpointSpec[]): EndpointsDelta | null {
  if (areSame(before, after)) return null
  const old = byName(before)
  const put: EndpointSpec[] = []
  for (const [name, spec] of byName(after)) {
    const known = old.get(name)
    old.delete(name)
    if (known === undefined || !isSame(known, spec)) put.push(spec)
  }
  const drop = [...old.keys()]
  return put.length === 0 && drop.length === 0 ? null : { put, drop }
}

export function endpointName(spec: { readonly address: string; readonly port: number }): string {
  return spec.address.includes(':') ? `[${spec.address}]:${spec.port}` : `${spec.address}:${spec.port}`
}

function byName(specs: readonly EndpointSpec[]): Map<string, EndpointSpec> {
  const map = new Map<string, EndpointSpec>()
  for (const spec of specs) map.set(endpointName(spec), spec)
  return map
}

/** Skips making names for sets that did not change, which are most that sources and snapshots deliver. */
function areSame(a: readonly EndpointSpec[], b: readonly EndpointSpec[]): boolean {
  return a.length === b.length && a.every((spec, i) => isSame(spec, b[i]!))
}

function isSame(a: EndpointSpec, b: EndpointSpec): boolean {
  return (
    a === b ||
    (a.port === b.port &&
      a.address === b.address &&
      a.weight === b.weight &&
      a.priority === b.priority &&
      a.zone === b.zone &&
      a.health === b.health &&
      a.healthReason === b.healthReason &&
      hasSameEntries(a.metadata, b.metadata))
  )
}

function hasSameEntries(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean {
  let count = 0
  for (const name in a) {
    if (a[name] !== b[name]) return false
    count++
  }
  return count === Object.keys(b).length
}
