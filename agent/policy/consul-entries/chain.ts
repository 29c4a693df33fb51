import type { Edits, Entries, Failover, Redirect, Resolver } from './entries.ts'

/**
 * The discovery chain of Consul, as `agent/consul/discoverychain/compile.go` compiles it: redirects, default subsets,
 * splitters within splitters, failover.
 */

/** Instances: of a service, of one of its subsets (empty: all), in a datacenter (empty: ours). */
export interface Target {
  readonly service: string
  readonly subset: string
  readonly datacenter: string
}

export interface Resolved {
  readonly target: Target
  /** The service whose policy calls them: that of the target, or the one whose redirect left the datacenter. */
  readonly cluster: string
}

export interface Share {
  readonly to: Resolved
  readonly weight: number
  readonly request: Edits | null
  readonly response: Edits | null
}

/** Why Consul itself would not compile it: the document is refused. */
export class ChainError extends Error {}

export interface Chain {
  readonly entries: Entries
  /** Its name; empty: not known. */
  readonly datacenter: string
}

const nameOf = ({ service, subset, datacenter }: Target): string =>
  `${subset === '' ? '' : `${subset}.`}${service}${datacenter === '' ? '' : ` in ${datacenter}`}`

/** Follows redirects and default subsets. Throws ChainError. */
export function resolveTarget(chain: Chain, wanted: Target): Resolved {
  const seen = new Set<string>()
  let target = wanted
  let cluster = wanted.service
  for (;;) {
    const name = nameOf(target)
    if (seen.has(name))
      throw new ChainError(`the redirects of service-resolver entries go in a circle: ${[...seen, name].join(' -> ')}`)
    seen.add(name)
    const resolver = chain.entries['service-resolver'].get(target.service)
    const next = redirected(chain, target, resolver)
    if (next !== null && nameOf(next) !== name) {
      // Its own policy says how instances elsewhere are called.
      if (next.datacenter === '') cluster = next.service
      target = next
      continue
    }
    if (target.subset === '' && resolver?.DefaultSubset) {
      target = { ...target, subset: resolver.DefaultSubset }
      continue
    }
    if (target.subset !== '' && resolver?.Subsets?.[target.subset] === undefined)
      throw new ChainError(`service ${target.service} has no subset named ${target.subset} in its service-resolver`)
    return { target, cluster }
  }
}

function redirected(chain: Chain, target: Target, resolver: Resolver | undefined): Target | null {
  const redirect = resolver?.Redirect
  if (!redirect || !isHere(redirect)) return null
  return rewritten(chain, target, redirect)
}

/** Not to another peer, partition, namespace or group, which fields.ts warns of. */
export function isHere({ Peer, Partition, Namespace, SamenessGroup }: Redirect): boolean {
  return !Peer && isDefault(Partition) && isDefault(Namespace) && !SamenessGroup
}

const isDefault = (name: string | undefined) => name === undefined || name === '' || name === 'default'

function rewritten({ datacenter: ours }: Chain, target: Target, to: Redirect): Target {
  const isOther = !!to.Service && to.Service !== target.service
  const datacenter = to.Datacenter || target.datacenter
  return {
    service: to.Service || target.service,
    // The subset of another service means nothing here.
    subset: to.ServiceSubset || (isOther ? '' : target.subset),
    datacenter: datacenter === ours ? '' : datacenter,
  }
}

/** Where a subset (empty: all) fails over to, in order. Throws ChainError. */
export function failoverOf(chain: Chain, from: Target): Target[] {
  const all = chain.entries['service-resolver'].get(from.service)?.Failover
  const failover: Failover | undefined = all?.[from.subset] ?? all?.['*']
  if (!failover) return []
  const { Datacenters, Targets, ...rest } = failover
  const to: readonly Redirect[] = Datacenters?.length
    ? Datacenters.map(Datacenter => ({ ...rest, Datacenter }))
    : Targets?.length
      ? Targets
      : [rest]
  return to
    .filter(isHere)
    .map(each => rewritten(chain, from, each))
    .filter(each => nameOf(each) !== nameOf(from))
    .map(each => resolveTarget(chain, each).target)
}

/** A route has no more destinations. Splitters within splitters double them with each level. */
const MAX_SHARES = 1_000

/** The shares of a service: of its splitter, those of splitters within it multiplied out; else all of it. */
export function sharesOf(chain: Chain, service: string, through: readonly string[] = []): Share[] {
  const splitter = chain.entries['service-splitter'].get(service)
  if (splitter === undefined)
    return [{ to: resolveTarget(chain, whole(service)), weight: 100, request: null, response: null }]
  if (through.includes(service))
    throw new ChainError(`service-splitter entries go in a circle: ${[...through, service].join(' -> ')}`)
  const shares = (splitter.Splits ?? []).flatMap(({ Weight = 0, Service, ServiceSubset = '', ...edits }): Share[] => {
    const other = Service || service
    const { RequestHeaders = null, ResponseHeaders = null } = edits
    const isSplit = other !== service && ServiceSubset === '' && chain.entries['service-splitter'].has(other)
    if (isSplit)
      return sharesOf(chain, other, [...through, service]).map(inner => ({
        to: inner.to,
        weight: hundredths(f32(f32(f32(Weight) * f32(inner.weight)) / 100)),
        // The one nearer to what is edited last counts.
        request: merged(RequestHeaders, inner.request),
        response: merged(inner.response, ResponseHeaders),
      }))
    const to = resolveTarget(chain, { ...whole(other), subset: ServiceSubset })
    return [{ to, weight: hundredths(Weight), request: RequestHeaders, response: ResponseHeaders }]
  })
  if (shares.length > MAX_SHARES)
    throw new ChainError(
      `service-splitter/${service} and those within it make ${shares.length} shares, and at most ${MAX_SHARES} are possible`,
    )
  return shares
}

export function whole(service: string): Target {
  return { service, subset: '', datacenter: '' }
}

/** Weights of Consul are of 32 bits, and rounded so. */
const f32 = Math.fround

/** The smallest weight of Consul is 0.01. */
function hundredths(weight: number): number {
  return Math.round(f32(f32(weight) * 100)) / 100
}

/** `over` counts where both say something. */
function merged(base: Edits | null, over: Edits | null): Edits | null {
  if (base === null || over === null) return base ?? over
  return {
    Add: { ...base.Add, ...over.Add },
    Set: { ...base.Set, ...over.Set },
    Remove: [...new Set([...(base.Remove ?? []), ...(over.Remove ?? [])])],
  }
}

const HTTP_LIKE = new Set(['http', 'http2', 'grpc'])

/** The protocol that entries write for a service, in small letters; empty: none. */
export function protocolOf({ entries }: Chain, service: string): string {
  const own = entries['service-defaults'].get(service)?.Protocol
  const ofAll = entries['proxy-defaults'].get('global')?.Config?.protocol
  return (own || (typeof ofAll === 'string' ? ofAll : '')).toLowerCase()
}

/** Throws ChainError where the services of a chain with routes or splits do not all speak the same, or no HTTP. */
export function checkProtocols(chain: Chain, service: string, targets: readonly Target[]): void {
  const ours = protocolOf(chain, service) || 'tcp'
  if (!HTTP_LIKE.has(ours))
    throw new ChainError(
      `${service} has the protocol ${ours}, which has no routes and no splits: set Protocol in service-defaults/${service}`,
    )
  for (const target of targets) {
    const theirs = protocolOf(chain, target.service) || 'tcp'
    if (theirs !== ours)
      throw new ChainError(
        `${service} has the protocol ${ours} and ${target.service} ${theirs}: set the same in both service-defaults`,
      )
  }
}
