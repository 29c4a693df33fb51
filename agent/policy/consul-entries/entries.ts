/**
 * The config entries of Consul as `/v1/config/<kind>` has them, as far as they are read. Fields as in Consul's api
 * package: config_entry.go, config_entry_discoverychain.go, config_entry_intentions.go.
 */

export const kinds = [
  'proxy-defaults',
  'service-defaults',
  'service-resolver',
  'service-router',
  'service-splitter',
  'service-intentions',
] as const
export type Kind = (typeof kinds)[number]

export interface Entry {
  readonly Name: string
  readonly ModifyIndex: number
}

/** A Go duration as text, or in nanoseconds. */
export type GoDuration = string | number

export interface Edits {
  readonly Add?: Readonly<Record<string, string>> | null
  readonly Set?: Readonly<Record<string, string>> | null
  readonly Remove?: readonly string[] | null
}

export interface ProxyDefaults extends Entry {
  readonly Config?: Readonly<Record<string, unknown>> | null
  readonly PrioritizeByLocality?: { readonly Mode?: string } | null
  readonly FailoverPolicy?: { readonly Mode?: string } | null
}

export interface ServiceDefaults extends Entry {
  readonly Protocol?: string
  readonly ExternalSNI?: string
  readonly UpstreamConfig?: {
    readonly Defaults?: Upstream | null
    readonly Overrides?: readonly Upstream[] | null
  } | null
}

export interface Upstream {
  readonly Name?: string
  readonly Peer?: string
  readonly Protocol?: string
  readonly ConnectTimeoutMs?: number
  readonly Limits?: {
    readonly MaxConnections?: number | null
    readonly MaxPendingRequests?: number | null
    readonly MaxConcurrentRequests?: number | null
  } | null
  readonly PassiveHealthCheck?: {
    readonly Interval?: GoDuration
    readonly MaxFailures?: number
    readonly EnforcingConsecutive5xx?: number | null
    readonly MaxEjectionPercent?: number | null
    readonly BaseEjectionTime?: GoDuration | null
  } | null
}

export interface Router extends Entry {
  readonly Routes?: readonly RouterRoute[] | null
}

export interface RouterRoute {
  readonly Match?: { readonly HTTP?: HttpMatch | null } | null
  readonly Destination?: RouterDestination | null
}

export interface HttpMatch {
  readonly PathExact?: string
  readonly PathPrefix?: string
  readonly PathRegex?: string
  readonly CaseInsensitive?: boolean
  readonly Header?: readonly ValueMatch[] | null
  readonly QueryParam?: readonly ValueMatch[] | null
  readonly Methods?: readonly string[] | null
}

export interface ValueMatch {
  readonly Name: string
  readonly Present?: boolean
  readonly Exact?: string
  readonly Prefix?: string
  readonly Suffix?: string
  readonly Regex?: string
  readonly Invert?: boolean
}

export interface RouterDestination {
  readonly Service?: string
  readonly ServiceSubset?: string
  readonly PrefixRewrite?: string
  readonly RequestTimeout?: GoDuration
  readonly IdleTimeout?: GoDuration
  readonly NumRetries?: number
  readonly RetryOnConnectFailure?: boolean
  readonly RetryOnStatusCodes?: readonly number[] | null
  readonly RetryOn?: readonly string[] | null
  readonly RequestHeaders?: Edits | null
  readonly ResponseHeaders?: Edits | null
}

export interface Splitter extends Entry {
  readonly Splits?: readonly Split[] | null
}

export interface Split {
  readonly Weight?: number
  readonly Service?: string
  readonly ServiceSubset?: string
  readonly RequestHeaders?: Edits | null
  readonly ResponseHeaders?: Edits | null
}

export interface Resolver extends Entry {
  readonly DefaultSubset?: string
  readonly Subsets?: Readonly<Record<string, { readonly Filter?: string; readonly OnlyPassing?: boolean }>> | null
  readonly Redirect?: Redirect | null
  readonly Failover?: Readonly<Record<string, Failover>> | null
  readonly ConnectTimeout?: GoDuration
  readonly RequestTimeout?: GoDuration
  readonly PrioritizeByLocality?: { readonly Mode?: string } | null
  readonly LoadBalancer?: LoadBalancer | null
}

/** Where a redirect or a failover leads. */
export interface Redirect {
  readonly Service?: string
  readonly ServiceSubset?: string
  readonly Datacenter?: string
  readonly Peer?: string
  readonly Partition?: string
  readonly Namespace?: string
  readonly SamenessGroup?: string
}

export interface Failover extends Redirect {
  readonly Datacenters?: readonly string[] | null
  readonly Targets?: readonly Redirect[] | null
  readonly Policy?: { readonly Mode?: string } | null
}

export interface LoadBalancer {
  readonly Policy?: string
  readonly RingHashConfig?: { readonly MinimumRingSize?: number; readonly MaximumRingSize?: number } | null
  readonly LeastRequestConfig?: { readonly ChoiceCount?: number } | null
  readonly HashPolicies?: readonly HashPolicy[] | null
}

export interface HashPolicy {
  readonly Field?: string
  readonly FieldValue?: string
  readonly CookieConfig?: { readonly Session?: boolean; readonly TTL?: GoDuration; readonly Path?: string } | null
  readonly SourceIP?: boolean
  readonly Terminal?: boolean
}

export interface Intentions extends Entry {
  readonly Sources?: readonly Readonly<Record<string, unknown>>[] | null
}

export interface EntryOf {
  'proxy-defaults': ProxyDefaults
  'service-defaults': ServiceDefaults
  'service-resolver': Resolver
  'service-router': Router
  'service-splitter': Splitter
  'service-intentions': Intentions
}

/** By kind and name. */
export type Entries = { readonly [K in Kind]: ReadonlyMap<string, EntryOf[K]> }

/** Of one answer. Throws an Error for people where it is no list of entries. */
export function entriesOf(kind: Kind, json: unknown): Map<string, Entry> {
  if (json !== null && !Array.isArray(json)) throw new Error(`the answer of Consul is no list of ${kind} entries`)
  const entries = new Map<string, Entry>()
  for (const entry of json ?? []) {
    if (typeof entry?.Name !== 'string' || entry.Name === '') throw new Error(`a ${kind} entry of Consul has no name`)
    // Of other partitions and namespaces, which only Consul Enterprise has: a warning names them (fields.ts).
    entries.set(entry.Name, entry)
  }
  return entries
}

/** Milliseconds; null: it is not set. Throws an Error for people. */
export function goMs(value: GoDuration | null | undefined): number | null {
  if (value === undefined || value === null || value === '' || value === 0) return null
  if (typeof value === 'number') return value / 1e6
  const found = /^(-?)((?:\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h))+)$/.exec(value)
  if (found === null) throw new Error(`"${value}" is no duration`)
  let ms = 0
  for (const [, amount, unit] of found[2]!.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g))
    ms += Number(amount) * UNITS[unit!]!
  if (ms === 0) return null
  return found[1] === '-' ? -ms : ms
}

const UNITS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
}

/** As a policy has it: whole milliseconds, at least one; a negative one turns a time off. */
export function timeText(ms: number): string {
  if (ms < 0) return 'off'
  const whole = Math.max(1, Math.round(ms))
  return whole % 1000 === 0 ? `${whole / 1000}s` : `${whole}ms`
}
