import { homedir } from 'node:os'
import { join } from 'node:path'
import { addressOf } from './address.ts'
import { durationMs } from './duration.ts'
import { serviceMeant } from './kubernetes-name.ts'
import { own } from './own.ts'
import type { SidecarDocument } from './sidecar.ts'
import type {
  ConsulServiceSpec,
  ConsulSpec,
  DiscoverySpec,
  EndpointSpec,
  KubernetesServiceSpec,
  KubernetesSpec,
  RegisterCheckSpec,
  RegisterSpec,
  ServiceSpec,
  Snapshot,
} from './snapshot.ts'

type Discovery = SidecarDocument['discovery']
type ConsulDocument = NonNullable<Discovery['consul']>
type KubernetesDocument = NonNullable<Discovery['kubernetes']>
type RegisterDocument = NonNullable<SidecarDocument['register']>

export function compileEndpoints(list: Discovery['endpoints'][string]): EndpointSpec[] {
  return list.map(({ address, weight, priority, zone, meta, health }) => ({
    ...addressOf(address),
    weight,
    priority,
    zone: zone ?? '',
    metadata: meta,
    health,
    healthReason: health === 'passing' ? '' : 'as listed',
  }))
}

/** `unnamed`: the policy of a service that no file names. */
export function compileDiscovery(document: SidecarDocument, unnamed: ServiceSpec): DiscoverySpec {
  const { files, dns, consul, kubernetes, massRemoval, startTimeout } = document.discovery
  return {
    files: Object.entries(files).map(([service, path]) => ({ service, path })),
    dns: Object.entries(dns).map(([service, { name, refresh, servers, family }]) => {
      const [host, port] = name.split(':') as [string, string | undefined]
      return {
        service,
        name: host,
        port: port === undefined ? null : Number(port),
        refreshMs: durationMs(refresh),
        servers,
        family,
      }
    }),
    consul: consul === undefined ? null : compileConsul(document, consul, unnamed),
    kubernetes: kubernetes === undefined ? null : compileKubernetes(document, kubernetes, unnamed),
    massRemovalPercent: massRemoval,
    startTimeoutMs: durationMs(startTimeout),
  }
}

function compileConsul(document: SidecarDocument, consul: ConsulDocument, unnamed: ServiceSpec): ConsulSpec {
  return {
    address: consul.address.replace(/\/$/, ''),
    token: consul.token ?? null,
    tokenFile: consul.tokenFile ?? null,
    datacenter: consul.datacenter ?? null,
    tls: compileTls(consul.tls),
    maxStaleMs: durationMs(consul.maxStale),
    waitMs: Math.min(durationMs(consul.wait), 600_000),
    services: watchedIn('consul', document, consul).map(service => compileConsulService(service, consul)),
    onDemand: consul.onDemand ? unnamed : null,
    idleMs: durationMs(consul.idle),
    addressKind: consul.addresses,
  }
}

function compileTls(tls: ConsulDocument['tls']): ConsulSpec['tls'] {
  return { ca: tls.ca ?? null, cert: tls.cert ?? null, key: tls.key ?? null, serverName: tls.serverName ?? null }
}

type Registry = 'consul' | 'kubernetes'

/** Every service that the files name without another source, where this is their registry, and those listed under it. */
function watchedIn(
  registry: Registry,
  document: SidecarDocument,
  { services }: Pick<ConsulDocument | KubernetesDocument, 'services'>,
): string[] {
  const { endpoints, files, dns, consul, kubernetes } = document.discovery
  const listed = [endpoints, files, dns, consul?.services ?? {}, kubernetes?.services ?? {}]
  const named = [
    ...Object.keys(document.services),
    ...document.outbound.flatMap(({ service }) => service ?? []),
    ...Object.values(document.services).flatMap(({ routes, fallback }) => [
      ...routes.flatMap(({ to }) => to.flatMap(({ service }) => service ?? [])),
      ...[fallback, ...routes.map(route => route.fallback)].flatMap(each => each?.to?.service ?? []),
    ]),
  ].filter(service => !listed.some(source => Object.hasOwn(source, service)))
  return [...new Set([...(usualRegistry(document.discovery) === registry ? named : []), ...Object.keys(services)])]
}

/** Of two the one that looks up services on demand. */
function usualRegistry({ consul, kubernetes }: Discovery): Registry {
  if (kubernetes === undefined) return 'consul'
  return consul === undefined || (kubernetes.onDemand && !consul.onDemand) ? 'kubernetes' : 'consul'
}

function compileKubernetes(
  document: SidecarDocument,
  kubernetes: KubernetesDocument,
  unnamed: ServiceSpec,
): KubernetesSpec {
  return {
    address: kubernetes.address?.replace(/\/$/, '') ?? null,
    token: kubernetes.token ?? null,
    tokenFile: kubernetes.tokenFile ?? null,
    tls: compileTls(kubernetes.tls),
    namespace: kubernetes.namespace ?? null,
    clusterDomain: kubernetes.clusterDomain,
    family: kubernetes.family,
    services: watchedIn('kubernetes', document, kubernetes).map(service =>
      compileKubernetesService(service, kubernetes),
    ),
    onDemand: kubernetes.onDemand ? unnamed : null,
    idleMs: durationMs(kubernetes.idle),
  }
}

function compileKubernetesService(
  service: string,
  { services, clusterDomain }: KubernetesDocument,
): KubernetesServiceSpec {
  const listed = own(services, service)
  const { name, namespace, port } = serviceMeant(service, clusterDomain)
  return {
    service,
    name: listed?.name ?? name,
    namespace: listed?.namespace ?? namespace,
    port: listed?.port ?? port,
  }
}

export function compileConsulService(
  service: string,
  consul: Pick<ConsulDocument, 'services' | 'datacenter' | 'addresses'>,
): ConsulServiceSpec {
  const listed = own(consul.services, service)
  return {
    service,
    name: listed?.name ?? service,
    datacenter: listed?.datacenter ?? consul.datacenter ?? null,
    tags: listed?.tags ?? [],
    addressKind: listed?.address ?? consul.addresses,
    failover: listed?.failover ?? [],
  }
}

export function compileRegister(document: SidecarDocument): RegisterSpec | null {
  const { register } = document
  if (register === undefined) return null
  const inbound = document.inbound[0]
  const port = register.port ?? (inbound === undefined ? 0 : addressOf(inbound.listen).port)
  const name = register.name ?? document.service
  const zone = document.zone === undefined ? {} : { zone: document.zone }
  return {
    name,
    id: register.id ?? null,
    address: register.address ?? null,
    port,
    tags: register.tags,
    meta: { ...zone, ...register.meta },
    weights: register.weights,
    check: compileCheck(register.check),
  }
}

function compileCheck({
  ttl,
  application,
  http,
  tcp,
  grpc,
  interval,
  timeout,
  deregisterAfter,
}: RegisterDocument['check']): RegisterCheckSpec {
  const deregisterAfterMs = durationMs(deregisterAfter)
  const target = http ?? tcp ?? grpc
  if (target === undefined) return { kind: 'ttl', ttlMs: durationMs(ttl ?? '15s'), application, deregisterAfterMs }
  const kind = http !== undefined ? 'http' : tcp !== undefined ? 'tcp' : 'grpc'
  return { kind, target, intervalMs: durationMs(interval), timeoutMs: durationMs(timeout), deregisterAfterMs }
}

/** How the data threads ask for services that no file names. */
export function compileOnDemand({ consul, kubernetes }: Discovery): Pick<Snapshot, 'onDemandMs' | 'clusterDomain'> {
  const asked = [consul, kubernetes].find(registry => registry?.onDemand === true)
  return {
    onDemandMs: asked === undefined ? 0 : durationMs(asked.firstUse),
    clusterDomain: kubernetes?.onDemand === true ? kubernetes.clusterDomain : null,
  }
}

/** One folder for each sidecar: two of the same service on a host differ in their listeners. */
export function stateFolder(document: SidecarDocument): string | null {
  if (document.state === 'off') return null
  if (document.state !== undefined) return document.state
  const listen = (document.inbound[0] ?? document.outbound[0])?.listen ?? 'none'
  const instance = `${document.service}-${addressOf(listen).port}`
  const folder = stateHome()
  return folder === null ? null : join(folder, instance)
}

/**
 * The StateDirectory= of a systemd unit, else the folder of the user. Null: a user without a home, as in containers
 * that run under a user number only.
 */
function stateHome(): string | null {
  const { STATE_DIRECTORY, XDG_STATE_HOME } = process.env
  const ofUnit = STATE_DIRECTORY?.split(':')[0]
  if (ofUnit) return ofUnit
  try {
    return join(XDG_STATE_HOME || join(homedir(), '.local', 'state'), 'outrigger')
  } catch {
    return null
  }
}
