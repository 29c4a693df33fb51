import { networkInterfaces } from 'node:os'
import type { Json } from '../../../inject/shape.ts'

/** Services and EndpointSlices, as the controllers of a cluster would write them. */

export interface PortOf {
  readonly name: string
  readonly port: number
  readonly appProtocol?: string
}

export function serviceObject(namespace: string, name: string, ports: readonly PortOf[], spec: Json = {}): Json {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace },
    spec: { ports: ports.map(each => ({ ...each, protocol: 'TCP' })), ...spec },
  }
}

export interface EndpointOf {
  readonly address: string
  readonly conditions?: { readonly ready: boolean; readonly serving?: boolean; readonly terminating?: boolean }
  readonly hostname?: string
  readonly zone?: string
}

const ready = { ready: true, serving: true, terminating: false }

export function sliceObject(
  namespace: string,
  service: string,
  name: string,
  ports: readonly PortOf[],
  endpoints: readonly EndpointOf[],
  labels: Readonly<Record<string, string>> = {},
): Json {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name, namespace, labels: { 'kubernetes.io/service-name': service, ...labels } },
    addressType: 'IPv4',
    ports: ports.map(each => ({ ...each, protocol: 'TCP' })),
    endpoints: endpoints.map(({ address, conditions = ready, ...more }) => ({
      addresses: [address],
      conditions,
      ...more,
    })),
  }
}

/** An address of this machine that an EndpointSlice may have: not one of loopback. */
export function ownAddress(): string {
  const all = Object.values(networkInterfaces()).flatMap(addresses => addresses ?? [])
  const found = all.find(
    ({ family, internal, address }) => family === 'IPv4' && !internal && !address.startsWith('169.254.'),
  )
  if (found === undefined) throw new Error('this machine has no IPv4 address but those of loopback')
  return found.address
}
