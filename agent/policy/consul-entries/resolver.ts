import { type Chain, failoverOf, protocolOf, resolveTarget, type Target, whole } from './chain.ts'
import { goMs, type HashPolicy, type LoadBalancer, type Resolver, timeText } from './entries.ts'
import type { Json, Warn } from './route.ts'

/** What the policy of a service gets of its service-resolver. */
export interface ResolverParts {
  readonly resolve?: Json
  readonly balancer?: Json
  /** The time to connect. */
  readonly connect?: string
}

/** Throws ChainError. `warn`: about the resolver that calls its instances. */
export function resolverParts(chain: Chain, service: string, warn: Warn): ResolverParts {
  const { target, cluster } = resolveTarget(chain, whole(service))
  const resolver = chain.entries['service-resolver'].get(target.service)
  // A redirect to another service here: that is called by its own policy.
  if (cluster !== service) return {}
  const failover = failoverParts(chain, target, resolver, warn)
  const subsets = Object.entries(resolver?.Subsets ?? {}).map(([name, { Filter, OnlyPassing }]) => [
    name,
    { ...(Filter ? { filter: Filter } : {}), ...(OnlyPassing ? { onlyPassing: true } : {}) },
  ])
  const resolve = {
    ...(target.service === service ? {} : { service: target.service.toLowerCase() }),
    ...(target.datacenter === '' ? {} : { datacenter: target.datacenter }),
    ...(target.subset === '' ? {} : { default: target.subset }),
    ...(subsets.length === 0 ? {} : { subsets: Object.fromEntries(subsets) }),
    ...(Object.keys(failover).length === 0 ? {} : { failover }),
  }
  const balancer = {
    ...balancerOf(resolver?.LoadBalancer, warn),
    // Consul fails over when the last healthy instance is gone, and not before.
    ...(Object.keys(failover).length === 0 ? {} : { overprovisioning: 1000 }),
    ...localityOf(resolver?.PrioritizeByLocality?.Mode, warn),
  }
  const connect = goMs(resolver?.ConnectTimeout)
  return {
    ...(Object.keys(resolve).length === 0 ? {} : { resolve }),
    ...(Object.keys(balancer).length === 0 ? {} : { balancer }),
    ...(connect === null || connect < 0 ? {} : { connect: timeText(connect) }),
  }
}

/** Where requests go that the chain of a service does not route: their time limit; null: it says none. */
export function requestTimeout(chain: Chain, service: string): string | null {
  const { target } = resolveTarget(chain, whole(service))
  const ms = goMs(chain.entries['service-resolver'].get(target.service)?.RequestTimeout)
  return ms === null ? null : timeText(ms)
}

export function localityOf(mode: string | undefined, warn: Warn): { zoneAware?: Json } {
  if (!mode) return {}
  if (mode === 'none') return { zoneAware: { mode: 'off' } }
  if (mode !== 'failover') warn('PrioritizeByLocality.Mode', `"${mode}" is not supported: zones count as by default`)
  return mode === 'failover' ? { zoneAware: { mode: 'on' } } : {}
}

export function failoverMode(mode: string | undefined, field: string, warn: Warn): void {
  if (mode && mode !== 'sequential') warn(field, `"${mode}" is not supported: targets are used one after the other`)
}

function failoverParts(chain: Chain, target: Target, resolver: Resolver | undefined, warn: Warn): Record<string, Json> {
  for (const { Policy } of Object.values(resolver?.Failover ?? {}))
    failoverMode(Policy?.Mode, 'Failover{}.Policy.Mode', warn)
  const named = Object.keys(resolver?.Subsets ?? {})
  // With a default subset nothing is asked of the service as a whole.
  const views = [...(target.subset === '' ? [''] : []), ...named]
  const lists = views.map((view): [string, Json[]] => [
    view,
    failoverOf(chain, { ...target, subset: view }).flatMap(each => standIn(chain, target, view, each, warn)),
  ])
  if (lists.every(([, list]) => list.length === 0)) return {}
  const ofWhole = JSON.stringify(lists.find(([view]) => view === '')?.[1] ?? null)
  const kept = lists.filter(([view, list]) => view === '' || JSON.stringify(list) !== ofWhole)
  return Object.fromEntries(kept.map(([view, list]) => [view === '' ? '*' : view, list]))
}

function standIn(chain: Chain, base: Target, view: string, to: Target, warn: Warn): Json[] {
  const where = to.datacenter === base.datacenter ? '' : to.datacenter || chain.datacenter
  if (to.datacenter !== base.datacenter && where === '') {
    warn('Failover', 'the own datacenter is not known to the agent, so it does not fail over to it')
    return []
  }
  const datacenter = where === '' ? {} : { datacenter: where }
  if (to.service === base.service) return [{ ...datacenter, ...(to.subset === view ? {} : { subset: to.subset }) }]
  const theirs = protocolOf(chain, to.service)
  if (theirs !== protocolOf(chain, base.service))
    warn('Failover', `${to.service} has another protocol, and is called as ${base.service} is`)
  const { Filter = '', OnlyPassing = false } =
    chain.entries['service-resolver'].get(to.service)?.Subsets?.[to.subset] ?? {}
  return [
    {
      service: to.service,
      ...datacenter,
      ...(Filter === '' ? {} : { filter: Filter }),
      ...(OnlyPassing ? { onlyPassing: true } : {}),
    },
  ]
}

const POLICIES = ['least_request', 'round_robin', 'random', 'ring_hash', 'maglev']

function balancerOf(balancer: LoadBalancer | null | undefined, warn: Warn): Record<string, Json> {
  if (!balancer) return {}
  const { Policy = '', RingHashConfig: ring, LeastRequestConfig: least, HashPolicies } = balancer
  if (Policy !== '' && !POLICIES.includes(Policy)) {
    warn('LoadBalancer.Policy', `"${Policy}" is not known: the default balances`)
    return {}
  }
  const choices = least?.ChoiceCount ?? 0
  const fitting = Math.min(16, Math.max(2, choices))
  if (choices !== 0 && choices !== fitting)
    warn('LoadBalancer.LeastRequestConfig.ChoiceCount', `${choices} is out of range: ${fitting} are compared`)
  return {
    ...(Policy === '' ? {} : { type: Policy }),
    ...(choices === 0 ? {} : { choices: fitting }),
    ...(ring?.MinimumRingSize ? { minimumRingSize: ring.MinimumRingSize } : {}),
    ...(ring?.MaximumRingSize ? { maximumRingSize: ring.MaximumRingSize } : {}),
    ...(HashPolicies?.length ? { hashOn: HashPolicies.flatMap(policy => hashOf(policy, warn)) } : {}),
  }
}

function hashOf({ Field, FieldValue = '', CookieConfig, SourceIP, Terminal }: HashPolicy, warn: Warn): Json[] {
  const terminal = Terminal ? { terminal: true } : {}
  if (SourceIP) return [{ sourceIp: true, ...terminal }]
  if (Field === 'header') return [{ header: FieldValue, ...terminal }]
  if (Field === 'query_parameter') return [{ query: FieldValue, ...terminal }]
  if (Field !== 'cookie') {
    warn('LoadBalancer.HashPolicies[].Field', `"${Field ?? ''}" is not known: it is not hashed`)
    return []
  }
  const ms = goMs(CookieConfig?.TTL)
  const ttl = CookieConfig?.Session ? { ttl: 'session' } : ms === null ? {} : { ttl: timeText(ms) }
  const path = CookieConfig?.Path ? { path: CookieConfig.Path } : {}
  const made = { ...ttl, ...path }
  return [{ cookie: Object.keys(made).length === 0 ? FieldValue : { name: FieldValue, ...made }, ...terminal }]
}
