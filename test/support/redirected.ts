import { loadTexts } from '../../mesh-config/load-snapshot.ts'
import type { Snapshot } from '../../mesh-config/snapshot.ts'
import { Mesh } from './mesh.ts'

/** A mesh behind listeners that connections are redirected to. */

export const A = '10.0.0.7:8080'
export const B = '10.0.0.8:8080'
export const FOREIGN = '93.184.216.34:80'

async function compiled(yaml: string): Promise<Snapshot> {
  const loaded = await loadTexts([{ file: 'sidecar.yaml', text: yaml }], {})
  if (!loaded.ok) throw new Error(loaded.errors.join('\n'))
  return structuredClone(loaded.snapshot)
}

function yaml(listener = '', services = ''): string {
  return `
service: web
outbound: [{ listen: 127.0.0.1:15001, transparent: true${listener === '' ? '' : `, ${listener}`} }]
inbound: [{ listen: 0.0.0.0:15006, transparent: true }]
discovery:
  endpoints: { orders: [ ${A}, ${B} ], db: [ 10.0.0.9:7000 ], six: [ "[fd00:0::7]:8080" ] }
services:
  orders: { balancer: { type: round_robin }, hosts: [orders.example.com] }
  db: { protocol: tcp }
${services}`
}

export async function transparent(
  listener = '',
  services = '',
  overrides: Partial<Snapshot> | ((compiled: Snapshot) => Partial<Snapshot>) = {},
): Promise<Mesh> {
  const plain = await compiled(yaml(listener, services))
  const mesh = await Mesh.start({ ...plain, ...(typeof overrides === 'function' ? overrides(plain) : overrides) })
  for (const name of [A, B, FOREIGN]) mesh.upstream(name)
  return mesh
}

export function request(mesh: Mesh, to: string, host: string, path = '/') {
  const caller = mesh.redirected(to).send(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
  mesh.settle()
  return caller
}
