import type {
  ConsulServiceSpec,
  ConsulSpec,
  DiscoverySpec,
  KubernetesServiceSpec,
  ServiceSpec,
} from '../../mesh-config/snapshot.ts'
import type { Clock, Random } from '../core/clock.ts'
import type { Log } from '../core/log.ts'
import { resolvedInConsul } from '../discovery/consul/resolved.ts'
import { consulSource } from '../discovery/consul/source.ts'
import { dnsSource } from '../discovery/dns.ts'
import { fileSource } from '../discovery/file.ts'
import type { DiscoveredService, ServiceSource } from '../discovery/service-endpoints.ts'
import { resolver } from '../system/dns.ts'
import type { OpenLink } from './consul-link.ts'
import { endpointReader } from './endpoint-reader.ts'
import type { OpenKubernetes } from './kubernetes-link.ts'
import { signatureOf, watchFiles } from './watch-files.ts'

export interface SourcesDeps {
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
}

/** Where the endpoints of a service come from: the one place that makes sources. */
export interface ServiceSources {
  /** A service that a file names. */
  named(service: ServiceSpec, spec: DiscoverySpec, open: OpenRegistries): DiscoveredService
  /** A service that only the registry knows, by the name it has there. `as`: what it is called here. */
  inConsul(name: string, spec: ConsulSpec, link: OpenLink, as?: string): DiscoveredService
  inKubernetes(name: string, link: OpenKubernetes, as?: string): DiscoveredService
}

/** The ways to the registries; null: there is none. */
export interface OpenRegistries {
  readonly consul: OpenLink | null
  readonly kubernetes: OpenKubernetes | null
}

export function serviceSources({ clock, random, log }: SourcesDeps): ServiceSources {
  const readEndpointText = endpointReader(clock)

  function fromFiles(service: string, { files }: DiscoverySpec): ServiceSource[] {
    return files
      .filter(file => file.service === service)
      .map(file => ({
        key: JSON.stringify(file),
        source: fileSource(file, { clock, watchFiles, signatureOf, readEndpointText }),
      }))
  }

  function fromDns(service: string, { dns }: DiscoverySpec): ServiceSource[] {
    return dns
      .filter(each => each.service === service)
      .map(each => ({ key: JSON.stringify(each), source: dnsSource(each, { clock, random, resolver }) }))
  }

  function fromConsul(service: ConsulServiceSpec, { key, client }: OpenLink): ServiceSource {
    return { key: JSON.stringify([service, key]), source: consulSource(service, client, { clock, random, log }) }
  }

  function fromKubernetes(service: KubernetesServiceSpec, { key, source }: OpenKubernetes): ServiceSource {
    return { key: JSON.stringify([service, key]), source: source(service) }
  }

  return {
    named({ name, endpoints, balancer, subsets, resolve }, spec, open) {
      const listed = spec.consul?.services.find(each => each.service === name)
      const watched =
        resolve === undefined || spec.consul === null ? listed : resolvedInConsul(name, resolve, listed, spec.consul)
      const consul = watched === undefined || open.consul === null ? [] : [fromConsul(watched, open.consul)]
      const inCluster = spec.kubernetes?.services.find(each => each.service === name)
      const kubernetes =
        inCluster === undefined || open.kubernetes === null ? [] : [fromKubernetes(inCluster, open.kubernetes)]
      return {
        name,
        fixed: endpoints,
        sources: [...fromFiles(name, spec), ...fromDns(name, spec), ...consul, ...kubernetes],
        subsetSize: balancer.subsetSize,
        subsets,
      }
    },
    inConsul(name, { datacenter, addressKind }, link, as = name) {
      const source = fromConsul({ service: as, name, datacenter, tags: [], addressKind, failover: [] }, link)
      return alone(as, source)
    },
    inKubernetes(name, link, as = name) {
      return alone(as, fromKubernetes({ ...link.service(name), service: as }, link))
    },
  }
}

/** No file says anything of it. */
function alone(name: string, source: ServiceSource): DiscoveredService {
  return { name, fixed: [], sources: [source], subsetSize: 0, subsets: {} }
}
