import { homedir } from 'node:os'
import { join } from 'node:path'
import { addressOf } from './address.ts'
import { durationMs } from './duration.ts'
import { own } from './own.ts'
import type { SidecarDocument } from './sidecar.ts'
import type {
  ConsulServiceSpec,
  ConsulSpec,
  DiscoverySpec,
  EndpointSpec,
  RegisterCheckSpec,
  RegisterSpec,
  ServiceSpec,
} from './snapshot.ts'

type Discovery = SidecarDocument['discovery']
type ConsulDocument = NonNullable<Discovery['consul']>
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
  const { files, dns, consul, massRemoval, startTimeout } = document.discovery
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
    tls: {
      ca: consul.tls.ca ?? null,
      cert: consul.tls.cert ?? null,
      key: consul.tls.key ?? null,
      serverName: consul.tls.serverName ?? null,
    },
    maxStaleMs: durationMs(consul.maxStale),
    waitMs: Math.min(durationMs(consul.wait), 600_000),
    services: watchedInConsul(document, consul).map(service => compileConsulService(service, consul)),
    onDemand: consul.onDemand ? unnamed : null,
    idleMs: durationMs(consul.idle),
    addressKind: consul.addresses,
  }
}

/** Every service that the files name without another source, and those under `consul.services`. */
function watchedInConsul(document: SidecarDocument, consul: ConsulDocument): string[] {
  const { endpoints, files, dns } = document.discovery
  const named = [
    ...Object.keys(document.services),
    ...document.outbound.flatMap(({ service }) => service ?? []),
    ...Object.values(document.services).flatMap(({ routes }) =>
      routes.flatMap(({ to }) => to.flatMap(({ service }) => service ?? [])),
    ),
  ].filter(service => ![endpoints, files, dns].some(source => Object.hasOwn(source, service)))
  return [...new Set([...named, ...Object.keys(consul.services)])]
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
