import { expect } from 'vitest'
import { Mesh, type MeshOptions } from './mesh.ts'
import { type ListenerOverrides, listenerSpec, type ServiceOverrides, serviceSpec, snapshotOf } from './specs.ts'
import type { Upstream } from './upstream.ts'

export const APPLICATION = '10.0.0.1:80'
/** The endpoint as callers' sidecars know it. */
export const SIDECAR = '10.0.9.1:20000'
const INBOUND_PORT = 20_000

export interface TwoSidecarsOptions extends ServiceOverrides {
  /** The switch of the caller's sidecar, and of the application's. */
  readonly multiplex?: boolean
  readonly offers?: number
  readonly inbound?: ListenerOverrides
  readonly outbound?: ListenerOverrides
  readonly mesh?: MeshOptions
  readonly buffersBytes?: number
}

export interface TwoSidecars {
  readonly mesh: Mesh
  readonly application: Upstream
  /** With the switches set anew. */
  apply(options: TwoSidecarsOptions): Promise<void>
}

/**
 * caller -> outbound listener (8000) -> inbound listener (20000) -> application: both sides of one data thread, with a
 * connection between them.
 */
export async function twoSidecars(options: TwoSidecarsOptions = {}): Promise<TwoSidecars> {
  const mesh = new Mesh(options.mesh)
  mesh.linked.set(SIDECAR, INBOUND_PORT)
  const apply = async (next: TwoSidecarsOptions) => {
    const { inbound = {}, outbound = {}, offers = 1, mesh: _, buffersBytes = 2 ** 28, ...service } = next
    const reasons = await mesh.apply(
      snapshotOf(
        [
          serviceSpec('orders', [SIDECAR], service),
          serviceSpec('local_app', [APPLICATION], {
            multiplex: false,
            retries: { on: [], attempts: 1 },
            timeouts: { requestMs: 0 },
          }),
        ],
        [
          listenerSpec({ service: 'orders', ...outbound }),
          listenerSpec({
            direction: 'inbound',
            listen: { address: '127.0.0.1', port: INBOUND_PORT },
            service: 'local_app',
            multiplex: offers,
            ...inbound,
          }),
        ],
        { buffersBytes },
      ),
    )
    if (reasons.length !== 0) throw new Error(reasons.join('\n'))
  }
  await apply(options)
  return { mesh, application: mesh.upstream(APPLICATION), apply }
}

/**
 * Sends two requests: the first tells the caller's sidecar what the other one supports, the second makes it connect.
 */
export function meet(mesh: Mesh): void {
  const caller = mesh.caller()
  for (let i = 0; i < 2; i++) {
    caller.get('/meet')
    mesh.settle()
  }
  caller.close()
  mesh.settle()
}

/** Connections between the two, open now. */
export function between(mesh: Mesh): { readonly connections: number; readonly protocol: string } {
  const { connections, protocol } = mesh.endpoints().find(({ name }) => name === 'orders')!.endpoints[0]!
  return { connections, protocol }
}

/** Checks that nothing runs and everything was counted once. */
export function expectQuiet(mesh: Mesh): void {
  for (const service of mesh.endpoints()) {
    expect(service.active, `requests of ${service.name}`).toBe(0)
    for (const { address, active, pending, idle, connections } of service.endpoints) {
      expect([active, pending], `requests at ${address}, and waiting for it`).toEqual([0, 0])
      expect(idle, `idle at ${address}`).toBe(connections)
    }
  }
  expect(mesh.stat('outrigger_upstream_requests_active')).toBe(0)
  expect(mesh.held, 'bytes of bodies held').toBe(0)
  const open = mesh.callers.filter(({ over }) => !over).length
  expect(
    mesh.stat('outrigger_downstream_connections_active', { direction: 'outbound' }),
    'connections of callers',
  ).toBe(open)
}
