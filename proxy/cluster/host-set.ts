import type { EndpointSpec } from '../../mesh-config/snapshot.ts'
import type { Endpoint } from '../core/endpoint.ts'

export interface HostSetDiff {
  /** In the order of the new specs. */
  readonly endpoints: readonly Endpoint[]
  readonly removed: readonly Endpoint[]
}

/**
 * The one diff of endpoints: an address that stays keeps its Endpoint, with all that was learnt of it and its warm connections, and only gets the new spec.
 * An address that is named twice counts once, by its last spec.
 */
export function diffHosts(current: readonly Endpoint[], specs: readonly EndpointSpec[], create: (spec: EndpointSpec, name: string) => Endpoint): HostSetDiff {
  const known = new Map(current.map(endpoint => [endpoint.name, endpoint]))
  const next = new Map<string, Endpoint>()
  for (const spec of specs) {
    const name = endpointName(spec)
    const endpoint = next.get(name) ?? known.get(name) ?? create(spec, name)
    endpoint.spec = spec
    next.set(name, endpoint)
  }
  return { endpoints: [...next.values()], removed: current.filter(endpoint => !next.has(endpoint.name)) }
}

export function endpointName(spec: { readonly address: string; readonly port: number }): string {
  return spec.address.includes(':') ? `[${spec.address}]:${spec.port}` : `${spec.address}:${spec.port}`
}
