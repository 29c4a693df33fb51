import type { KubernetesServiceSpec } from './discovery-spec.ts'
import { hostOf, portOf } from './host-name.ts'

/** A Service of Kubernetes, as a caller names it. */
export interface ServiceReference {
  readonly name: string
  /** Null: the caller's own. */
  readonly namespace: string | null
  /** Of the Service; null: the usual one. */
  readonly port: number | null
}

const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/

/**
 * What a Host, `:authority` or server name means in a cluster: `orders`, `orders.shop`, `orders.shop.svc`,
 * `orders.shop.svc.cluster.local`, each with or without a port. Null: no Service, such as `www.example.com`.
 */
export function serviceReference(authority: string, clusterDomain: string): ServiceReference | null {
  const host = hostOf(authority)
  const isFull = host.endsWith(`.svc.${clusterDomain}`)
  const labels = (isFull ? host.slice(0, -clusterDomain.length - 1) : host).split('.')
  const [name, namespace = null, svc = 'svc'] = labels
  if (labels.length > 3 || svc !== 'svc' || (isFull && labels.length < 3) || host === 'localhost') return null
  if (!LABEL.test(name!) || (namespace !== null && !LABEL.test(namespace))) return null
  const port = Number(portOf(authority))
  return { name: name!, namespace, port: port > 0 && port < 65_536 ? port : null }
}

/** The Service that a name of a service means, where nothing else is said of it. */
export function serviceMeant(service: string, clusterDomain: string): KubernetesServiceSpec {
  const meant = serviceReference(service, clusterDomain)
  return { service, name: meant?.name ?? service, namespace: meant?.namespace ?? null, port: meant?.port ?? null }
}

/** Each Service has one: `orders` in the namespace `own`, `orders.shop` in another one. */
export function shortName(name: string, namespace: string, own: string): string {
  return namespace === own ? name : `${name}.${namespace}`
}

/** Names of a Service besides the short one. */
export function longNames(name: string, namespace: string, clusterDomain: string): string[] {
  return [`${name}.${namespace}`, `${name}.${namespace}.svc`, `${name}.${namespace}.svc.${clusterDomain}`]
}
