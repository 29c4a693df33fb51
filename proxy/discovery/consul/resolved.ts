import { needsFacts, parseFilter } from '../../../mesh-config/filter-expression.ts'
import type { ConsulServiceSpec, ConsulSpec, ConsulStandInSpec, ResolveSpec } from '../../../mesh-config/snapshot.ts'

/** What is watched of a service in Consul, where its policy says where its endpoints are. */
export function resolvedInConsul(
  service: string,
  { service: alias, datacenter, filters, failover }: ResolveSpec,
  listed: ConsulServiceSpec | undefined,
  consul: ConsulSpec,
): ConsulServiceSpec {
  const own: ConsulServiceSpec = listed ?? {
    service,
    name: service,
    datacenter: consul.datacenter,
    tags: [],
    addressKind: consul.addressKind,
    failover: [],
  }
  const standIns = new Map<string, ConsulStandInSpec>()
  for (const { from, service: name, datacenter: where, priority } of failover) {
    const known = standIns.get(from)
    // Behind the datacenters that the sidecar's own file names.
    const level = own.failover.length + priority
    if (known !== undefined && known.priority <= level) continue
    standIns.set(from, { from, name, datacenter: where ?? own.datacenter, priority: level })
  }
  const facts = [...Object.values(filters), ...failover].some(({ filter }) => looksAtFacts(filter))
  return {
    ...own,
    name: alias ?? own.name,
    datacenter: datacenter ?? own.datacenter,
    ...(standIns.size === 0 ? {} : { standIns: [...standIns.values()] }),
    ...(facts ? { facts } : {}),
  }
}

function looksAtFacts(filter: string): boolean {
  const parsed = filter === '' ? null : parseFilter(filter)
  return parsed?.ok === true && needsFacts(parsed.filter)
}
