import { shortName } from '../../../mesh-config/kubernetes-name.ts'
import type { ServicePort, ServiceRecord } from './objects.ts'

/** Which port of a Service is meant. */

/** What a name without a port means: the only one, 80 as in `http://orders`, else the first called http or grpc. */
export function usualPort({ ports }: ServiceRecord): ServicePort | null {
  if (ports.length === 1) return ports[0]!
  const called = (word: string) => ports.find(({ name }) => name === word || name.startsWith(`${word}-`))
  return ports.find(({ port }) => port === 80) ?? called('http') ?? called('grpc') ?? null
}

/** `wanted`: its number or its name; null: the usual one. */
export function portOf(service: ServiceRecord, wanted: number | string | null): ServicePort | null {
  if (wanted === null) return usualPort(service)
  return (
    service.ports.find(({ name, port }) => (typeof wanted === 'number' ? port === wanted : name === wanted)) ?? null
  )
}

/** `http 80, 9090`; of many the first. */
export function portsText({ ports }: ServiceRecord): string {
  if (ports.length === 0) return 'none'
  return ports
    .slice(0, 10)
    .map(({ name, port }) => (name === '' ? `${port}` : `${name} ${port}`))
    .join(', ')
}

/** The name that a port of a Service has here: the usual one is the Service. */
export function nameOfPort(record: ServiceRecord, port: ServicePort, namespace: string, own: string): string {
  const name = shortName(record.name, namespace, own)
  return port === usualPort(record) ? name : `${name}:${port.port}`
}

const PROTOCOLS: Readonly<Record<string, 'http2' | 'grpc' | 'tcp'>> = {
  'kubernetes.io/h2c': 'http2',
  http2: 'http2',
  h2c: 'http2',
  grpc: 'grpc',
  tcp: 'tcp',
}

/** What is spoken there, where the Service says so: by `appProtocol`, else by a name such as grpc or grpc-api. */
export function protocolOf({ name, appProtocol }: ServicePort): 'http2' | 'grpc' | 'tcp' | null {
  if (appProtocol !== '') return PROTOCOLS[appProtocol.toLowerCase()] ?? null
  if (name === 'grpc-web' || name.startsWith('grpc-web-')) return null
  return PROTOCOLS[name.split('-', 1)[0]!] ?? null
}
