import { formatAddress } from '../../../mesh-config/address.ts'
import type { EndpointHealth, EndpointSpec, KubernetesSpec } from '../../../mesh-config/snapshot.ts'
import { isHostName, type ServicePort, type ServiceRecord, type SliceEndpoint, type SliceRecord } from './objects.ts'
import { portOf, portsText } from './ports.ts'

/** What is known of one Service. */
export interface Known {
  /** Undefined: there is no such Service; slices that somebody wrote may be there all the same. */
  readonly service: ServiceRecord | undefined
  readonly slices: readonly SliceRecord[]
}

export interface EndpointOptions {
  /** As `KubernetesServiceSpec.port`. */
  readonly port: number | string | null
  readonly family: KubernetesSpec['family']
  /** Whether this machine has addresses of it. */
  readonly speaks: (family: 4 | 6) => boolean
}

/** A service with more is a mistake, or an attack. */
const MOST_ENDPOINTS = 20_000

/**
 * The endpoints of one port of a Service, in the order of their addresses. Throws an Error for people where there is no
 * such port.
 */
export function endpointsOf({ service, slices }: Known, options: EndpointOptions): EndpointSpec[] {
  if (service !== undefined && service.externalName !== '') return elsewhere(service, options.port)
  const port = service === undefined ? null : portOf(service, options.port)
  // A headless Service may have no ports: then a number is the port of its pods.
  if (service !== undefined && port === null && !(service.ports.length === 0 && typeof options.port === 'number'))
    throw new Error(noPort(service, options.port))
  const found = new Map<string, { readonly spec: EndpointSpec; readonly version: string }>()
  const used = ofOneFamily(slices, service, options)
  for (const slice of used) {
    const number = portIn(slice, port, options.port)
    if (number === null) continue
    for (const endpoint of slice.endpoints) {
      const spec = specOf(endpoint, number)
      const key = formatAddress(spec)
      const twin = found.get(key)
      // While it moves it is in two slices: the one written last is right.
      if (twin === undefined || isNewer(slice.version, twin.version)) found.set(key, { spec, version: slice.version })
    }
    if (found.size > MOST_ENDPOINTS) throw new Error(`it has more than ${MOST_ENDPOINTS} endpoints`)
  }
  return lastResort([...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, { spec }]) => spec))
}

function noPort(service: ServiceRecord, wanted: number | string | null): string {
  const has = `the Service ${service.name} has the ports ${portsText(service)}`
  return wanted === null
    ? `${has}: say which, such as port: ${service.ports[0]?.port ?? 8080}`
    : `${has}, and not ${wanted}`
}

/** A Service that stands for a host outside: the name is resolved when it is connected to. */
function elsewhere({ externalName, ports, name }: ServiceRecord, wanted: number | string | null): EndpointSpec[] {
  if (!isHostName(externalName)) throw new Error(`the externalName of the Service ${name} is no host name`)
  const port = ports.find(each => each.port === wanted || each.name === wanted) ?? ports[0]
  return [
    {
      address: externalName,
      port: port?.port ?? (typeof wanted === 'number' ? wanted : 80),
      weight: 1,
      priority: 0,
      zone: '',
      metadata: {},
      health: 'passing',
      healthReason: '',
    },
  ]
}

/** A pod with two addresses is in slices of both families, and is one endpoint. */
function ofOneFamily(
  slices: readonly SliceRecord[],
  service: ServiceRecord | undefined,
  { family, speaks }: EndpointOptions,
): readonly SliceRecord[] {
  const own = [...(service?.families ?? []), 'IPv4', 'IPv6'] as const
  const order =
    family === 'auto'
      ? own.filter(each => speaks(each === 'IPv4' ? 4 : 6))
      : ([family === 'ipv4' ? 'IPv4' : 'IPv6'] as const)
  for (const each of [...order, 'FQDN'] as const) {
    const of = slices.filter(slice => slice.family === each && slice.endpoints.length > 0)
    if (of.length > 0) return of
  }
  return []
}

/** The port of the pods; null: this slice is of another one. */
function portIn({ ports }: SliceRecord, port: ServicePort | null, wanted: number | string | null): number | null {
  const given = typeof wanted === 'number' ? wanted : null
  if (ports.length === 0) return port?.port ?? given
  // Without a Service the slices alone say which there are.
  const own =
    port !== null
      ? ports.find(({ name }) => name === port.name)
      : wanted === null
        ? ports[0]
        : ports.find(each => each.name === wanted || each.port === wanted)
  return own === undefined ? null : (own.port ?? port?.port ?? given)
}

function specOf({ address, zone, node, pod, ...conditions }: SliceEndpoint, port: number): EndpointSpec {
  const [health, healthReason] = healthOf(conditions)
  return {
    address,
    port,
    weight: 1,
    priority: 0,
    zone,
    metadata: { ...(pod === '' ? {} : { pod }), ...(node === '' ? {} : { node }) },
    health,
    healthReason,
  }
}

/** `ready` wins: with `publishNotReadyAddresses` it is true whatever else is said. */
function healthOf({
  ready,
  serving,
  terminating,
}: Pick<SliceEndpoint, 'ready' | 'serving' | 'terminating'>): readonly [EndpointHealth, string] {
  if (ready) return ['passing', '']
  if (terminating) return ['draining', serving ? TERMINATING : 'terminating, and not ready']
  return ['critical', 'not ready']
}

const TERMINATING = 'terminating'

/** As kube-proxy does it: while no endpoint is ready, those that still serve while they terminate are used. */
function lastResort(endpoints: EndpointSpec[]): EndpointSpec[] {
  if (endpoints.some(({ health }) => health === 'passing')) return endpoints
  return endpoints.map(endpoint =>
    endpoint.healthReason === TERMINATING
      ? { ...endpoint, health: 'passing', healthReason: 'terminating, and no other is ready' }
      : endpoint,
  )
}

/** Versions are decimal numbers, which may be too large for a number. */
function isNewer(a: string, b: string): boolean {
  return a.length === b.length ? a > b : a.length > b.length
}
