import { addressBytes, canonicalAddress } from '../../../mesh-config/address.ts'

/** What is kept of the objects of Kubernetes. What the API server sends may be anything: a wrong value counts as none. */

export type Family = 'IPv4' | 'IPv6'

export interface ServiceRecord {
  readonly name: string
  /** Of its DNS name, where it only stands for another host; empty: it has endpoints. */
  readonly externalName: string
  /** Those of TCP. */
  readonly ports: readonly ServicePort[]
  /** Its virtual addresses; a headless Service has none. */
  readonly addresses: readonly string[]
  readonly families: readonly Family[]
}

export interface ServicePort {
  /** Empty: it has none. */
  readonly name: string
  readonly port: number
  readonly appProtocol: string
}

export interface SliceRecord {
  readonly name: string
  /** Of the Service that it belongs to. */
  readonly service: string
  /** `metadata.resourceVersion`. */
  readonly version: string
  /** `FQDN`: its addresses are names. */
  readonly family: Family | 'FQDN'
  /** Those of TCP. `port` null: any. */
  readonly ports: readonly { readonly name: string; readonly port: number | null }[]
  readonly endpoints: readonly SliceEndpoint[]
}

export interface SliceEndpoint {
  readonly address: string
  readonly ready: boolean
  readonly serving: boolean
  readonly terminating: boolean
  /** Where its hints say that it is for, else where it stands. */
  readonly zone: string
  readonly node: string
  readonly pod: string
}

export type Json = Readonly<Record<string, unknown>>

export function mapOf(value: unknown): Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : {}
}

export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

export function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

function portOf(value: unknown): number | null {
  return Number.isInteger(value) && (value as number) > 0 && (value as number) < 65_536 ? (value as number) : null
}

const isTcp = (protocol: unknown) => protocol === undefined || protocol === null || protocol === 'TCP'

export function serviceOf(object: Json): ServiceRecord {
  const spec = mapOf(object.spec)
  const addresses = spec.clusterIPs === undefined ? [spec.clusterIP] : listOf(spec.clusterIPs)
  return {
    name: textOf(mapOf(object.metadata).name),
    externalName: spec.type === 'ExternalName' ? textOf(spec.externalName).replace(/\.$/, '').toLowerCase() : '',
    ports: listOf(spec.ports).flatMap(each => {
      const { name, port, protocol, appProtocol } = mapOf(each)
      const number = portOf(port)
      return number === null || !isTcp(protocol)
        ? []
        : [{ name: textOf(name), port: number, appProtocol: textOf(appProtocol) }]
    }),
    addresses: addresses.map(textOf).filter(isAddress).map(canonicalAddress),
    families: listOf(spec.ipFamilies).filter(isFamily),
  }
}

const SERVICE_LABEL = 'kubernetes.io/service-name'

export function sliceOf(object: Json): SliceRecord {
  const metadata = mapOf(object.metadata)
  const family = isFamily(object.addressType) ? object.addressType : object.addressType === 'FQDN' ? 'FQDN' : 'IPv4'
  return {
    name: textOf(metadata.name),
    service: textOf(mapOf(metadata.labels)[SERVICE_LABEL]),
    version: textOf(metadata.resourceVersion),
    family,
    ports: listOf(object.ports).flatMap(each => {
      const { name, port, protocol } = mapOf(each)
      return isTcp(protocol) ? [{ name: textOf(name), port: portOf(port) }] : []
    }),
    endpoints: listOf(object.endpoints).flatMap(each => {
      const endpoint = endpointOf(mapOf(each), family)
      return endpoint === null ? [] : [endpoint]
    }),
  }
}

/** The addresses of an endpoint mean the same, and the first will do. */
function endpointOf(endpoint: Json, family: SliceRecord['family']): SliceEndpoint | null {
  const address = textOf(listOf(endpoint.addresses)[0])
  if (family === 'FQDN' ? !isHostName(address) : !isAddress(address)) return null
  const { ready, serving, terminating } = mapOf(endpoint.conditions)
  // As the API has it: unknown counts as ready, `serving` then is what `ready` is, and it does not terminate.
  const isReady = ready !== false
  const target = mapOf(endpoint.targetRef)
  return {
    address: family === 'FQDN' ? address.toLowerCase() : canonicalAddress(address),
    ready: isReady,
    serving: typeof serving === 'boolean' ? serving : isReady,
    terminating: terminating === true,
    zone: textOf(mapOf(listOf(mapOf(endpoint.hints).forZones)[0]).name) || textOf(endpoint.zone),
    node: textOf(endpoint.nodeName),
    pod: target.kind === 'Pod' ? textOf(target.name) : '',
  }
}

function isFamily(value: unknown): value is Family {
  return value === 'IPv4' || value === 'IPv6'
}

function isAddress(text: string): boolean {
  return addressBytes(text) !== null
}

export function isHostName(text: string): boolean {
  return text.length < 254 && /^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9])?\.?$/.test(text)
}
