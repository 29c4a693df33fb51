import { connectName, connectService } from '../../mesh-config/host-name.ts'
import { own } from '../../mesh-config/own.ts'
import type { ListenerSpec, ServiceSpec, Snapshot } from '../../mesh-config/snapshot.ts'
import type { Router } from '../core/route.ts'
import { CONNECT } from '../core/tunnel.ts'
import type { RouteTable } from '../router/compile.ts'
import { type HostTable, hostTable } from '../router/hosts.ts'
import { reachableFrom } from '../router/reachable.ts'

/**
 * How a listener finds the service of a request: by its port, or by the host named in the request. Throws where the
 * listener names a service that is not there.
 */
export function requestRouterOf(
  listener: ListenerSpec,
  snapshot: Snapshot,
  tableOf: (spec: ServiceSpec) => RouteTable,
): Router {
  if (listener.service !== null) {
    const spec = own(snapshot.services, listener.service)
    if (spec === undefined)
      throw new Error(`listener ${listener.name} names the service ${listener.service}, which is not configured`)
    return byPort(spec.name, tableOf(spec))
  }
  // To an application by the address that the caller was going to, whatever it calls it.
  if (listener.direction === 'inbound') return () => null
  const reachable = reachableFrom(snapshot)
  const byName = new Map(reachable.map(spec => [spec.name, tableOf(spec)]))
  const hosts = hostTable(reachable.filter(({ kind }) => kind !== 'connect'))
  return (request, record) => {
    const name =
      request.upgrade === CONNECT ? connectTarget(listener.connect, request.authority, hosts) : hosts(request.authority)
    if (name === null) return null
    record.by = 'host'
    record.service = name
    const route = byName.get(name)!(request)
    if (route !== null) record.route = route.name
    return route
  }
}

function byPort(service: string, table: RouteTable): Router {
  return (request, record) => {
    record.by = 'port'
    record.service = service
    const route = table(request)
    if (route !== null) record.route = route.name
    return route
  }
}

/** The service that a CONNECT leads to; null: it must not. */
function connectTarget(connect: ListenerSpec['connect'], authority: string, hosts: HostTable): string | null {
  if (connect === null) return null
  const target = connectName(authority)
  if (connect.hosts.includes(target)) return connectService(target)
  return connect.services ? hosts(authority) : null
}
