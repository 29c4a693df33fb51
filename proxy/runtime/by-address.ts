import { allowsOf } from '../../mesh-config/pass-through.ts'
import type { ListenerSpec, ServiceSpec, Snapshot, TransparentSpec } from '../../mesh-config/snapshot.ts'
import type { Exchange } from '../core/exchange.ts'
import { failures } from '../core/failure.ts'
import type { ByAddress, Route, TcpRoute } from '../core/route.ts'
import type { Original } from '../core/wire.ts'
import type { RouteTable } from '../router/compile.ts'
import { hostTable } from '../router/hosts.ts'
import { reachableFrom } from '../router/reachable.ts'
import type { Addresses } from './addresses.ts'
import type { Originals } from './originals.ts'

export interface ByAddressDeps {
  readonly addresses: Addresses
  /** Of the destinations that belong to no service. */
  readonly originals: Originals
  /** What holds for all of them. */
  readonly through: { readonly request: RouteTable; readonly tunnel: TcpRoute }
  tableOf(spec: ServiceSpec): RouteTable
  tunnelOf(spec: ServiceSpec): TcpRoute
}

/**
 * The second half of routing for connections that were redirected here, where the client named no service that is
 * known: the service that the address belongs to which the connection was made to, else that very address.
 */
export function byAddressOf(
  { direction }: ListenerSpec,
  spec: TransparentSpec,
  snapshot: Snapshot,
  deps: ByAddressDeps,
): ByAddress {
  const { addresses, originals, through } = deps
  const allows = allowsOf(spec.passThrough)
  const opaque = new Set(spec.opaquePorts)
  // Inbound there is no choice: the application is where the caller went.
  const reachable = direction === 'inbound' ? [] : reachableFrom(snapshot).filter(({ kind }) => kind === 'named')
  const services = new Map(
    reachable.map(service => [service.name, { service, table: deps.tableOf(service), tunnel: deps.tunnelOf(service) }]),
  )

  const hosts = hostTable(reachable)
  const registered = new Map(reachable.flatMap(spec => (spec.registered?.addresses ?? []).map(at => [at, spec.name])))

  function known(original: Original) {
    if (services.size === 0) return undefined
    const virtual = virtualName(original)
    const name = virtual === null ? (registered.get(original.name) ?? addresses.serviceOf(original)) : hosts(virtual)
    return name === null ? undefined : services.get(name)
  }

  /** The name that the name server gave this address to; its port says which of several of a Service. */
  function virtualName(original: Original): string | null {
    const name = addresses.virtualOf(original)
    return name === null ? null : `${name}:${original.port}`
  }

  /** Whether it may go on to where it was going; notes how it was found, or why it may not. */
  function mayPass(exchange: Exchange, original: Original): boolean {
    const { decision, request } = exchange
    decision.by = 'original'
    decision.service = spec.through
    if (allows(original, request.authority)) return true
    exchange.failure = failures.passThroughDenied
    exchange.detail = `${original.name} belongs to no known service, and passThrough does not allow it`
    return false
  }

  function found<Found extends Route>(exchange: Exchange, original: Original, route: Found | null): Found | null {
    if (route !== null) {
      exchange.decision.route = route.name
      return route
    }
    exchange.failure = failures.poolOverflow
    exchange.detail = `too many destinations are in use at once to go on to ${original.name}`
    return null
  }

  return {
    request(exchange) {
      const original = exchange.peer.original!
      const { decision, request, protocol } = exchange
      const own = known(original)
      if (own !== undefined) {
        decision.by = 'address'
        decision.service = own.service.name
        const route = own.table(request)
        if (route !== null) decision.route = route.name
        return route
      }
      if (!mayPass(exchange, original)) return null
      // A caller that speaks HTTP/2 at once knows that its server does. A sidecar that carries HTTP/1.1 does not say so.
      const isHttp2 = protocol === 'h2' && request.headers.carried() === null
      return found(exchange, original, originals.request(original, isHttp2, through.request(request)!))
    },
    tunnel(exchange) {
      const original = exchange.peer.original!
      const { decision } = exchange
      const own = known(original)
      if (own !== undefined) {
        decision.by = 'address'
        decision.service = own.service.name
        decision.route = own.tunnel.name
        return own.tunnel
      }
      return mayPass(exchange, original) ? found(exchange, original, originals.tunnel(original, through.tunnel)) : null
    },
    absent(original) {
      const name = virtualName(original)
      return name === null || hosts(name) !== null ? null : name
    },
    isOpaque(original) {
      const own = known(original)
      if (own !== undefined && own.service.protocol !== null) return own.service.protocol === 'tcp'
      return opaque.has(original.port)
    },
    isKnown: original => direction === 'inbound' || known(original) !== undefined,
  }
}
