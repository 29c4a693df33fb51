import type { EndpointSpec } from '../../mesh-config/snapshot.ts'
import type { EndpointsDelta } from '../core/channel.ts'
import type { Endpoint } from '../core/endpoint.ts'
import { deltaOf, endpointName } from '../core/endpoints-delta.ts'

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
