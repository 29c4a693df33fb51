import type { Kind } from './entries.ts'

/**
 * What becomes of every field of config entries: the one list behind the warnings and behind
 * docs/consul-config-entries.md. A row of a map or list counts for all below it that has no row of its own.
 */

/**
 * `yes`: translated. `partly`: translated, with a difference or a limit. `kept`: read and not used yet. `no`: a warning
 * names it. `data`: says nothing about requests.
 */
export type Treatment = 'yes' | 'partly' | 'kept' | 'no' | 'data'

export interface FieldRule {
  readonly field: string
  readonly how: Treatment
  /** What it becomes, or why not and what to write instead. */
  readonly text: string
}

const rule = (field: string, how: Treatment, text: string): FieldRule => ({ field, how, text })

const common = (named: string): FieldRule[] => [
  rule('Kind', 'data', ''),
  rule('Name', 'data', named),
  rule('Partition', 'no', 'partitions are of Consul Enterprise: the entry counts for the default one'),
  rule('Namespace', 'no', 'namespaces are of Consul Enterprise: the entry counts for the default one'),
  rule('Meta', 'data', 'for people'),
  rule('CreateIndex', 'data', ''),
  rule('ModifyIndex', 'data', 'the version of the policy, with a hash of its text'),
]

const SIDECAR = 'this is of the sidecar itself: write it in its own file'
const EDITS = (side: 'request' | 'response', where: string): FieldRule[] => {
  const at = `${where}${side === 'request' ? 'RequestHeaders' : 'ResponseHeaders'}`
  const key = `headers.${side}`
  return [
    rule(`${at}.Add`, 'partly', `\`${key}.add\`; without variables of Envoy (\`%...%\`), and not for framing fields`),
    rule(`${at}.Set`, 'partly', `\`${key}.set\`; the same`),
    rule(`${at}.Remove`, 'partly', `\`${key}.remove\`; not for framing fields`),
  ]
}
const elsewhere = (where: string, ...names: string[]): FieldRule[] =>
  names.map(name => rule(`${where}${name}`, 'no', OUTSIDE[name]!))
const OUTSIDE: Readonly<Record<string, string>> = {
  Peer: 'cluster peering needs mesh gateways, which are not supported: this target is left out',
  Partition: 'partitions are of Consul Enterprise: with another than `default` this target is left out',
  Namespace: 'namespaces are of Consul Enterprise: with another than `default` this target is left out',
  SamenessGroup: 'sameness groups are of Consul Enterprise: this target is left out',
}

const ofBoth: readonly FieldRule[] = [
  rule('Mode', 'no', 'traffic is redirected by the sidecar, not by Consul'),
  rule('TransparentProxy', 'no', 'traffic is redirected by the sidecar, not by Consul'),
  rule('MutualTLSMode', 'no', 'mutual TLS comes with identities, in a later version'),
  rule('MeshGateway', 'no', 'mesh gateways are not supported: instances of other datacenters are called directly'),
  rule('Expose', 'no', `${SIDECAR} (\`inbound\`)`),
  rule('EnvoyExtensions', 'no', 'extensions of Envoy cannot run here'),
]

const upstream = (at: string): FieldRule[] => [
  rule(`${at}.Name`, at.endsWith('[]') ? 'yes' : 'data', at.endsWith('[]') ? 'the service that is called' : ''),
  ...elsewhere(`${at}.`, 'Partition', 'Namespace', 'Peer'),
  rule(`${at}.EnvoyListenerJSON`, 'no', 'configuration of Envoy has no meaning here'),
  rule(`${at}.EnvoyClusterJSON`, 'no', 'configuration of Envoy has no meaning here'),
  rule(`${at}.Protocol`, 'yes', '`protocol`, for calls of this service'),
  rule(`${at}.ConnectTimeoutMs`, 'yes', '`timeouts.connect`, for calls of this service'),
  rule(`${at}.Limits.MaxConnections`, 'yes', '`limits.connections`; at least 1'),
  rule(`${at}.Limits.MaxPendingRequests`, 'yes', '`limits.pending`'),
  rule(`${at}.Limits.MaxConcurrentRequests`, 'yes', '`limits.requests`; at least 1'),
  rule(
    `${at}.PassiveHealthCheck.Interval`,
    'partly',
    '`outliers.interval`, for `successRate` and `failurePercentage`, which no entry turns on: failures in a row count at once',
  ),
  rule(
    `${at}.PassiveHealthCheck.MaxFailures`,
    'yes',
    '`outliers.consecutive5xx`: any 5xx and no answer count; `consecutiveGatewayFailures` is 0 beside it. Left out: five gateway failures, as without the entry',
  ),
  rule(`${at}.PassiveHealthCheck.EnforcingConsecutive5xx`, 'partly', '0 turns ejection off, any other value is 100'),
  rule(`${at}.PassiveHealthCheck.MaxEjectionPercent`, 'yes', '`outliers.maxEjectedPercent`'),
  rule(`${at}.PassiveHealthCheck.BaseEjectionTime`, 'yes', '`outliers.baseEjection`'),
  rule(
    `${at}.MeshGateway`,
    'no',
    'mesh gateways are not supported: instances of other datacenters are called directly',
  ),
  rule(`${at}.BalanceOutboundConnections`, 'no', 'the system spreads connections over data threads'),
]

export const fields: Readonly<Record<Kind, readonly FieldRule[]>> = {
  'proxy-defaults': [
    ...common('`global`, the policy of all services (`*`)'),
    ...ofBoth,
    rule('Config.protocol', 'yes', '`protocol` of all services without one in service-defaults'),
    rule('Config', 'no', 'settings of Envoy have no meaning here'),
    rule('AccessLogs', 'no', `${SIDECAR} (\`accessLog\`)`),
    rule('FailoverPolicy.Mode', 'partly', '`sequential` is what is done; `order-by-locality` is of Consul Enterprise'),
    rule('FailoverPolicy.Regions', 'no', 'this is of Consul Enterprise'),
    rule('PrioritizeByLocality.Mode', 'partly', '`none`: `balancer.zoneAware.mode: off`; `failover`: `on`'),
  ],
  'service-defaults': [
    ...common('the service'),
    ...ofBoth,
    rule('Protocol', 'yes', '`protocol`; `http` is HTTP/1.1 to the endpoints'),
    rule('ExternalSNI', 'no', 'TLS to services outside comes with identities, in a later version'),
    ...upstream('UpstreamConfig.Overrides[]'),
    ...upstream('UpstreamConfig.Defaults'),
    rule('Destination', 'no', 'terminating gateways are not supported: give the service endpoints in a sidecar file'),
    rule('MaxInboundConnections', 'no', `${SIDECAR} (\`inbound.limits.connections\`)`),
    rule('LocalConnectTimeoutMs', 'no', `${SIDECAR} (\`inbound.application.timeouts.connect\`)`),
    rule('LocalRequestTimeoutMs', 'no', `${SIDECAR} (\`inbound.application.timeouts.request\`)`),
    rule('BalanceInboundConnections', 'no', 'the system spreads connections over data threads'),
    rule('RateLimits', 'no', 'this is of Consul Enterprise'),
    rule('MaxRequestHeadersKB', 'no', `${SIDECAR} (\`inbound.limits.headBytes\`)`),
  ],
  'service-resolver': [
    ...common('the service'),
    rule('DefaultSubset', 'yes', '`resolve.default`'),
    rule('Subsets{}.Filter', 'partly', '`resolve.subsets.<name>.filter`; over `Service.*` and `Node.*`, not `Checks`'),
    rule('Subsets{}.OnlyPassing', 'yes', '`resolve.subsets.<name>.onlyPassing`'),
    rule('Redirect.Service', 'yes', 'requests go there; in another datacenter it is `resolve.service`'),
    rule('Redirect.ServiceSubset', 'yes', 'the subset that they go to'),
    rule('Redirect.Datacenter', 'yes', '`resolve.datacenter`'),
    ...elsewhere('Redirect.', 'Namespace', 'Partition', 'Peer', 'SamenessGroup'),
    rule('Failover{}.Service', 'yes', '`resolve.failover`: endpoints of lower priority'),
    rule('Failover{}.ServiceSubset', 'yes', '`resolve.failover`: a subset of this service, or the filter of the other'),
    rule('Failover{}.Datacenters', 'yes', '`resolve.failover`: one after the other'),
    rule('Failover{}.Targets[].Service', 'yes', '`resolve.failover`'),
    rule('Failover{}.Targets[].ServiceSubset', 'yes', '`resolve.failover`'),
    rule('Failover{}.Targets[].Datacenter', 'yes', '`resolve.failover`'),
    ...elsewhere('Failover{}.Targets[].', 'Partition', 'Namespace', 'Peer'),
    ...elsewhere('Failover{}.', 'Namespace', 'SamenessGroup'),
    rule('Failover{}.Policy.Mode', 'partly', '`sequential` is what is done; `order-by-locality` is of Enterprise'),
    rule('Failover{}.Policy.Regions', 'no', 'this is of Consul Enterprise'),
    rule('ConnectTimeout', 'yes', '`timeouts.connect`; without it the default here (1s), not the 5s of Consul'),
    rule('RequestTimeout', 'yes', '`timeouts.request` where the service has no router and no splitter, as in Consul'),
    rule('PrioritizeByLocality.Mode', 'partly', '`none`: `balancer.zoneAware.mode: off`; `failover`: `on`'),
    rule('LoadBalancer.Policy', 'yes', '`balancer.type`; without it the default here (least_request)'),
    rule('LoadBalancer.RingHashConfig.MinimumRingSize', 'yes', '`balancer.minimumRingSize`'),
    rule('LoadBalancer.RingHashConfig.MaximumRingSize', 'yes', '`balancer.maximumRingSize`'),
    rule('LoadBalancer.LeastRequestConfig.ChoiceCount', 'partly', '`balancer.choices`: from 2 to 16'),
    rule('LoadBalancer.HashPolicies[].Field', 'yes', '`balancer.hashOn`: header, cookie or query'),
    rule('LoadBalancer.HashPolicies[].FieldValue', 'yes', 'its name'),
    rule('LoadBalancer.HashPolicies[].CookieConfig.Session', 'yes', '`cookie.ttl: session`'),
    rule('LoadBalancer.HashPolicies[].CookieConfig.TTL', 'yes', '`cookie.ttl`'),
    rule('LoadBalancer.HashPolicies[].CookieConfig.Path', 'yes', '`cookie.path`; without it `/`'),
    rule('LoadBalancer.HashPolicies[].SourceIP', 'yes', '`balancer.hashOn`: sourceIp'),
    rule('LoadBalancer.HashPolicies[].Terminal', 'yes', '`terminal`'),
  ],
  'service-router': [
    ...common('the service'),
    rule('Routes[].Match.HTTP.PathExact', 'yes', '`match.path.exact`'),
    rule('Routes[].Match.HTTP.PathPrefix', 'yes', '`match.path.prefix`'),
    rule('Routes[].Match.HTTP.PathRegex', 'yes', '`match.path.regex`'),
    rule('Routes[].Match.HTTP.CaseInsensitive', 'yes', '`match.path.ignoreCase`; as in Envoy not with PathRegex'),
    rule('Routes[].Match.HTTP.Header[].Name', 'yes', '`match.headers`; several of one name must all match'),
    ...['Present', 'Exact', 'Prefix', 'Suffix', 'Regex', 'Invert'].map(form =>
      rule(`Routes[].Match.HTTP.Header[].${form}`, 'yes', `\`match.headers.<name>.${form.toLowerCase()}\``),
    ),
    rule('Routes[].Match.HTTP.QueryParam[].Name', 'yes', '`match.query`'),
    ...['Present', 'Exact', 'Regex'].map(form =>
      rule(`Routes[].Match.HTTP.QueryParam[].${form}`, 'yes', `\`match.query.<name>.${form.toLowerCase()}\``),
    ),
    rule('Routes[].Match.HTTP.Methods', 'yes', '`match.methods`'),
    rule('Routes[].Destination.Service', 'yes', '`to.service`, its redirects and its splitter included'),
    rule('Routes[].Destination.ServiceSubset', 'yes', '`to.subset`'),
    ...elsewhere('Routes[].Destination.', 'Namespace', 'Partition').map(each => ({
      ...each,
      text: each.text.replace('this target is left out', 'the default one is called'),
    })),
    rule('Routes[].Destination.PrefixRewrite', 'yes', '`rewrite`'),
    rule('Routes[].Destination.RequestTimeout', 'yes', '`timeouts.request`; negative: off'),
    rule('Routes[].Destination.IdleTimeout', 'yes', '`timeouts.idle`; negative: off'),
    rule('Routes[].Destination.NumRetries', 'partly', '`retries.attempts`: one more, 10 at most; within the budget'),
    rule('Routes[].Destination.RetryOnConnectFailure', 'yes', '`retries.on`: connect-failure'),
    rule('Routes[].Destination.RetryOnStatusCodes', 'partly', '`retries.statuses`; of idempotent methods only'),
    rule(
      'Routes[].Destination.RetryOn',
      'partly',
      '`retries.on`; `envoy-ratelimited` is not supported; after an answer of idempotent methods only',
    ),
    ...EDITS('request', 'Routes[].Destination.'),
    ...EDITS('response', 'Routes[].Destination.'),
  ],
  'service-splitter': [
    ...common('the service'),
    rule('Splits[].Weight', 'yes', '`to.weight`, in steps of 0.01'),
    rule('Splits[].Service', 'yes', '`to.service`; a splitter of its own is multiplied in'),
    rule('Splits[].ServiceSubset', 'yes', '`to.subset`'),
    rule('Splits[].Namespace', 'no', 'namespaces are of Consul Enterprise: the default one is called'),
    rule('Splits[].Partition', 'no', 'partitions are of Consul Enterprise: the default one is called'),
    ...EDITS('request', 'Splits[].'),
    ...EDITS('response', 'Splits[].'),
  ],
  'service-intentions': [
    ...common('the service'),
    rule('Sources', 'kept', 'read and kept for identities: not enforced in this version, and a warning says so once'),
    rule('JWT', 'kept', 'read and kept for identities: not enforced in this version'),
  ],
}

/** What a field is treated like; null: no version of Consul that is known here has it. */
export function ruleOf(kind: Kind, field: string): FieldRule | null {
  const rules = fields[kind]
  for (let at = field; at !== ''; at = at.replace(/(\[\]|\{\}|\.?[^.[\]{}]+)$/, '')) {
    const found = rules.find(each => each.field === at)
    if (found !== undefined) return found
  }
  return null
}

/** Values that are the ones of Consul's default, so that nothing is lost. */
const HARMLESS: Readonly<Record<string, readonly unknown[]>> = {
  Partition: ['default'],
  Namespace: ['default'],
  'FailoverPolicy.Mode': ['sequential'],
  Mode: ['direct'],
}

/** Fields of Consul's server that its api does not show. */
const OF_SERVER = new Set(['Hash', 'Status'])

export interface FieldWarning {
  readonly field: string
  readonly text: string
}

const MOST_WARNINGS = 50

/** What of an entry has no effect here, each field once. */
export function unsupported(kind: Kind, entry: unknown): FieldWarning[] {
  const found = new Map<string, string>()
  visit(entry, '', (field, value) => {
    const last = field.replace(/^.*\./, '')
    if (OF_SERVER.has(field) || HARMLESS[last]?.includes(value) || HARMLESS[field]?.includes(value)) return
    const treated = ruleOf(kind, field)
    const name = treated?.how === 'no' ? treated.field : field
    if (treated === null) found.set(name, 'this version of Outrigger does not know it: it has no effect')
    else if (treated.how === 'no') found.set(name, treated.text)
  })
  return [...found].slice(0, MOST_WARNINGS).map(([field, text]) => ({ field, text }))
}

/** Maps whose keys are of the author. */
const BY_NAME = /(^|\.)(Subsets|Failover|Meta|LegacyMeta|Add|Set|Arguments)$/

/** All values that say something, by the names of their fields. */
function visit(value: unknown, at: string, see: (field: string, value: unknown) => void, depth = 0): void {
  if (value === null || value === undefined || value === '' || value === 0 || value === false || depth > 16) return
  if (Array.isArray(value)) for (const each of value) visit(each, `${at}[]`, see, depth + 1)
  else if (typeof value === 'object')
    for (const [key, each] of Object.entries(value)) {
      const within = BY_NAME.test(at) ? `${at}{}` : at === '' ? key : `${at}.${key}`
      visit(each, within, see, depth + 1)
    }
  else see(at, value)
}
