import { own } from '../../mesh-config/own.ts'
import type { EndpointSpec, FailoverSpec, FilterSpec, ServiceSpec } from '../../mesh-config/snapshot.ts'
import { warns } from '../../mesh-config/warns.ts'
import { type CompileRegex, endpointFilter } from './endpoint-filter.ts'

/** Whether an endpoint belongs to a service, or to one of its subsets. */
export type Members = (endpoint: EndpointSpec) => boolean

export interface AllMembers {
  readonly whole: Members
  readonly subsets: ReadonlyMap<string, Members>
}

const everyone: Members = () => true
/** Nothing stands in for the endpoints of the service. */
const itself: Members = ({ from }) => from === undefined

/**
 * Who belongs to a service and to each of its subsets, made ready when a policy is applied. Throws where a pattern
 * cannot be compiled.
 */
export function membersOf(spec: ServiceSpec, regex: CompileRegex): AllMembers {
  const { subsets, resolve } = spec
  const ours = new Map<string, Members>()
  for (const [name, labels] of Object.entries(subsets)) {
    const filter = resolve === undefined ? undefined : own(resolve.filters, name)
    const isLabelled = Object.keys(labels).length === 0 ? everyone : hasLabels(labels)
    ours.set(name, filter === undefined ? isLabelled : both(isLabelled, passes(filter, regex)))
  }
  const failover = resolve?.failover ?? []
  const withOthers = (view: string, inside: Members) => standIns(view, inside, failover, ours, regex)
  return {
    whole: withOthers('', everyone),
    subsets: new Map([...ours].map(([name, members]) => [name, withOthers(name, members)])),
  }
}

function hasLabels(labels: Readonly<Record<string, string>>): Members {
  return ({ metadata }) => {
    for (const name in labels) if (metadata[name] !== labels[name]) return false
    return true
  }
}

function both(one: Members, other: Members): Members {
  if (one === everyone) return other
  return endpoint => one(endpoint) && other(endpoint)
}

function passes({ filter, onlyPassing }: FilterSpec, regex: CompileRegex): Members {
  const matches = filter === '' ? everyone : endpointFilter(filter, regex)
  return onlyPassing ? endpoint => !warns(endpoint) && matches(endpoint) : matches
}

/** Endpoints that stand in for others belong where their entry says so, and nowhere else. */
function standIns(
  view: string,
  inside: Members,
  failover: readonly FailoverSpec[],
  ours: ReadonlyMap<string, Members>,
  regex: CompileRegex,
): Members {
  if (failover.length === 0) return inside === everyone ? itself : endpoint => itself(endpoint) && inside(endpoint)
  const admitted = new Map<string, Members>()
  for (const entry of failover) {
    if (!entry.standsInFor.includes(view)) continue
    const members = entry.isSameService ? (ours.get(entry.subset) ?? everyone) : passes(entry, regex)
    const known = admitted.get(entry.from)
    admitted.set(entry.from, known === undefined ? members : endpoint => known(endpoint) || members(endpoint))
  }
  return endpoint =>
    endpoint.from === undefined ? inside(endpoint) : (admitted.get(endpoint.from)?.(endpoint) ?? false)
}
