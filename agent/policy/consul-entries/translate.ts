import { createHash } from 'node:crypto'
import type { PolicyDocument } from '../source.ts'
import {
  type Chain,
  ChainError,
  checkProtocols,
  type Resolved,
  resolveTarget,
  type Share,
  sharesOf,
  whole,
} from './chain.ts'
import type { Entries, Entry, Kind, RouterRoute } from './entries.ts'
import { unsupported } from './fields.ts'
import { failoverMode, localityOf, requestTimeout, resolverParts } from './resolver.ts'
import { destinationParts, headersOf, type Json, matchOf, type Warn } from './route.ts'
import { callerPolicies, protocolPart } from './upstream.ts'

/**
 * Config entries -> one policy document a service, as the discovery chain of Consul says; `*` from proxy-defaults. A
 * document whose chain Consul itself would refuse has errors.
 */
export function translate(entries: Entries, datacenter: string): PolicyDocument[] {
  const chain = { entries, datacenter }
  const names = new Set<string>()
  for (const kind of ['service-defaults', 'service-resolver', 'service-router', 'service-splitter'] as const)
    for (const name of entries[kind].keys()) names.add(name)
  return [...defaults(entries), ...[...names].sort().map(name => document(chain, name))]
}

interface Written {
  readonly kind: Kind
  readonly entry: Entry
}

const EVERY_SERVICE = '*'

function defaults(entries: Entries): PolicyDocument[] {
  const global = entries['proxy-defaults'].get('global')
  const intentions = [...entries['service-intentions'].values()]
  if (global === undefined && intentions.length === 0) return []
  const warnings: string[] = []
  const at = placeOf('proxy-defaults', 'global')
  if (intentions.length > 0)
    warnings.push(
      `consul service-intentions: ${intentions.length} of them are read and not enforced: this version has no identities yet`,
    )
  for (const entry of intentions)
    for (const { field, text } of unsupported('service-intentions', entry))
      warner(warnings, placeOf('service-intentions', entry.Name))(field, text)
  if (global === undefined) return [documentOf(EVERY_SERVICE, at, {}, intentions, [], warnings)]
  const warn = warner(warnings, at)
  for (const { field, text } of unsupported('proxy-defaults', global)) warn(field, text)
  failoverMode(global.FailoverPolicy?.Mode, 'FailoverPolicy.Mode', warn)
  const protocol = global.Config?.protocol
  const zones = localityOf(global.PrioritizeByLocality?.Mode, warn)
  const policy = {
    ...protocolPart(typeof protocol === 'string' ? protocol : '', why => warn('Config.protocol', why)),
    ...(Object.keys(zones).length === 0 ? {} : { balancer: zones }),
  }
  return [documentOf(EVERY_SERVICE, at, policy, [global], [], warnings)]
}

function document(chain: Chain, service: string): PolicyDocument {
  const { entries } = chain
  const written = (['service-router', 'service-splitter', 'service-resolver', 'service-defaults'] as const).flatMap(
    (kind): Written[] => {
      const entry = entries[kind].get(service)
      return entry === undefined ? [] : [{ kind, entry }]
    },
  )
  const at = `consul ${written.map(({ kind }) => `${kind}/${service}`).join(', ')}`
  const warnings: string[] = []
  for (const { kind, entry } of written)
    for (const { field, text } of unsupported(kind, entry)) warner(warnings, placeOf(kind, service))(field, text)
  const versions = written.map(({ entry }) => entry)
  try {
    return documentOf(service.toLowerCase(), at, policyOf(chain, service, warnings), versions, [], warnings)
  } catch (error) {
    // Of an entry with a value of another kind than Consul has there, too: that document alone is refused.
    const reason = error instanceof ChainError ? error.message : `it cannot be read: ${(error as Error).message}`
    return documentOf(service.toLowerCase(), at, {}, versions, [`${at}: ${reason}`], warnings)
  }
}

function policyOf(chain: Chain, service: string, warnings: string[]): Json {
  const { entries } = chain
  const of = (kind: Kind) => warner(warnings, placeOf(kind, service))
  const { resolve, balancer, connect } = resolverParts(chain, service, of('service-resolver'))
  const isRouted = entries['service-router'].has(service) || entries['service-splitter'].has(service)
  const request = isRouted ? null : requestTimeout(chain, service)
  const timeouts = { ...(connect === undefined ? {} : { connect }), ...(request === null ? {} : { request }) }
  const routes = routesOf(chain, service, of)
  const defaults = entries['service-defaults'].get(service)
  const calls = defaults === undefined ? null : callerPolicies(defaults, of('service-defaults'))
  return {
    ...protocolPart(defaults?.Protocol, why => of('service-defaults')('Protocol', why)),
    ...(resolve === undefined ? {} : { resolve }),
    ...(balancer === undefined ? {} : { balancer }),
    ...(Object.keys(timeouts).length === 0 ? {} : { timeouts }),
    ...(routes === null ? {} : { routes }),
    ...(calls === null || calls.size === 0 ? {} : { calls: Object.fromEntries(calls) }),
  }
}

/** Null: every request goes to the service itself. */
function routesOf(chain: Chain, service: string, of: (kind: Kind) => Warn): Json[] | null {
  const router = chain.entries['service-router'].get(service)
  const rest = sharesOf(chain, service)
  const routed = (router?.Routes ?? []).map(route => ({ route, shares: destinationsOf(chain, service, route) }))
  const isSplit = chain.entries['service-splitter'].has(service)
  if (router !== undefined || isSplit) {
    const all = [...rest, ...routed.flatMap(({ shares }) => shares)]
    checkProtocols(
      chain,
      service,
      all.map(({ to }) => to.target),
    )
  }
  const everythingElse = { to: toOf(service, rest, of('service-splitter')) }
  if (router === undefined) {
    const [only] = rest
    const isItself = rest.length === 1 && only!.to.cluster === service && !only!.request && !only!.response
    return isItself && !isSplit ? null : [everythingElse]
  }
  const routes = routed.map(({ route, shares }, index): Json => {
    const warn: Warn = (field, why) => of('service-router')(`Routes[${index}].${field}`, why)
    const match = matchOf(route.Match?.HTTP, warn)
    return {
      ...(match === null ? {} : { match }),
      to: toOf(service, shares, of('service-splitter')),
      ...destinationParts(route.Destination, warn),
    }
  })
  return [...routes, everythingElse]
}

function destinationsOf(chain: Chain, service: string, { Destination }: RouterRoute): Share[] {
  const other = Destination?.Service || service
  const subset = Destination?.ServiceSubset ?? ''
  // Only a destination without a subset is split further.
  if (subset === '') return sharesOf(chain, other)
  const to: Resolved = resolveTarget(chain, { ...whole(other), subset })
  return [{ to, weight: 100, request: null, response: null }]
}

function toOf(service: string, shares: readonly Share[], warn: Warn): Json[] {
  return shares.map(({ to: { cluster, target }, weight, request, response }) => {
    const headers = headersOf(request, response, warn, 'Splits[].')
    return {
      ...(cluster === service ? {} : { service: cluster.toLowerCase() }),
      ...(target.subset === '' ? {} : { subset: target.subset }),
      ...(shares.length === 1 ? {} : { weight }),
      ...(headers === null ? {} : { headers }),
    }
  })
}

const placeOf = (kind: Kind, name: string): string => `consul ${kind}/${name}`

function warner(warnings: string[], at: string): Warn {
  return (field, why) => {
    const warning = `${at}: ${field}: ${why}`
    if (!warnings.includes(warning)) warnings.push(warning)
  }
}

function documentOf(
  service: string,
  at: string,
  policy: Json,
  entries: readonly Entry[],
  errors: readonly string[],
  warnings: readonly string[],
): PolicyDocument {
  const text = JSON.stringify(policy, null, 2)
  const newest = Math.max(...entries.map(({ ModifyIndex }) => ModifyIndex))
  // A change of an entry that this one refers to makes another text of the same index.
  const hash = createHash('sha256').update(text).update(errors.join()).digest('hex').slice(0, 6)
  return { service, at, text, version: `${newest}-${hash}`, errors, warnings }
}
