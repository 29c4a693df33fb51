import { expect } from 'vitest'
import type { EndpointSpec } from '../../mesh-config/snapshot.ts'
import { Mesh, type MeshOptions } from './mesh.ts'
import { type ListenerOverrides, listenerSpec, type ServiceOverrides, serviceSpec, snapshotOf } from './specs.ts'
import type { Upstream } from './upstream.ts'

export const A = '10.0.0.1:80'
export const B = '10.0.0.2:80'
export const C = '10.0.0.3:80'

export interface OrdersOptions extends ServiceOverrides {
  readonly endpoints?: readonly (string | EndpointSpec)[]
  readonly listener?: ListenerOverrides
  readonly mesh?: MeshOptions
}

export interface Orders {
  readonly mesh: Mesh
  /** The first endpoint, or the only one. */
  readonly upstream: Upstream
}

/** One service, `orders`, behind a port of its own: the start of most tests of the data plane. */
export async function orders(options: OrdersOptions = {}): Promise<Orders> {
  const { endpoints = [A], listener = {}, mesh: meshOptions = {}, ...service } = options
  const mesh = await Mesh.start(
    snapshotOf([serviceSpec('orders', endpoints, service)], [listenerSpec({ service: 'orders', ...listener })]),
    meshOptions,
  )
  const first = endpoints[0] ?? A
  return { mesh, upstream: mesh.upstream(typeof first === 'string' ? first : `${first.address}:${first.port}`) }
}

/** Leaves an idle connection in the pool, as a proxy that has been running has. */
export function warm(mesh: Mesh): void {
  const caller = mesh.caller()
  caller.get('/warm')
  mesh.settle()
  expect(caller.statuses).toEqual([200])
  caller.close()
  mesh.settle()
}

/** Checks that nothing runs, nothing is held, and everything was counted once. */
export function expectQuiet(mesh: Mesh): void {
  for (const service of mesh.endpoints()) {
    expect(service.active, 'requests of the service').toBe(0)
    for (const endpoint of service.endpoints) {
      expect(endpoint.active, `requests at ${endpoint.address}`).toBe(0)
      expect(endpoint.pending, `waiting for ${endpoint.address}`).toBe(0)
      expect(endpoint.idle, `idle at ${endpoint.address}`).toBe(endpoint.connections)
    }
  }
  expect(mesh.stat('outrigger_upstream_requests_active')).toBe(0)
  expect(mesh.stat('outrigger_tcp_connections_active')).toBe(0)
  expect(mesh.held, 'bytes of bodies held').toBe(0)
  for (const upstream of mesh.upstreams) {
    for (const { reader, over, wire } of upstream.connections) {
      if (over) continue
      expect(reader.pending, `half a request at ${upstream.name}`).toBe(false)
      expect(wire.unsent).toBe(0)
    }
  }
  const open = [...mesh.callers, ...mesh.http2Callers, ...mesh.plainCallers].filter(({ over }) => !over).length
  expect(mesh.stat('outrigger_downstream_connections_active'), 'downstream connections').toBe(open)
}
