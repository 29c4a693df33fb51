import { goMs, type ServiceDefaults, timeText, type Upstream } from './entries.ts'
import type { Json, Warn } from './route.ts'

/**
 * How a service calls others, from `UpstreamConfig` of its own service-defaults: a policy of one caller. Overrides count
 * over defaults, field by field.
 */
export function callerPolicies(entry: ServiceDefaults, warn: Warn): ReadonlyMap<string, Json> {
  const { Defaults, Overrides } = entry.UpstreamConfig ?? {}
  const policies = new Map<string, Json>()
  const ofAll = upstreamPolicy(Defaults ?? {}, (field, why) => warn(`UpstreamConfig.Defaults.${field}`, why))
  if (Object.keys(ofAll).length > 0) policies.set('*', ofAll)
  for (const override of Overrides ?? []) {
    if (!override.Name || override.Peer) continue
    const policy = upstreamPolicy(override, (field, why) => warn(`UpstreamConfig.Overrides[].${field}`, why))
    if (Object.keys(policy).length > 0) policies.set(override.Name.toLowerCase(), policy)
  }
  return policies
}

const PROTOCOLS = ['http', 'http2', 'grpc', 'tcp']

/** What of a protocol a policy takes over; empty: nothing. */
export function protocolPart(protocol: string | undefined, warn: (why: string) => void): { protocol?: string } {
  const lower = protocol?.toLowerCase() ?? ''
  if (lower === '') return {}
  if (PROTOCOLS.includes(lower)) return { protocol: lower }
  warn(`"${protocol}" is not known, and Consul takes it for tcp: it is detected`)
  return {}
}

function upstreamPolicy(
  { Protocol, ConnectTimeoutMs, Limits, PassiveHealthCheck }: Upstream,
  warn: Warn,
): Readonly<Record<string, Json>> {
  const limits = {
    ...limit('connections', Limits?.MaxConnections, 1, why => warn('Limits.MaxConnections', why)),
    ...limit('pending', Limits?.MaxPendingRequests, 0, why => warn('Limits.MaxPendingRequests', why)),
    ...limit('requests', Limits?.MaxConcurrentRequests, 1, why => warn('Limits.MaxConcurrentRequests', why)),
  }
  const outliers = outliersOf(PassiveHealthCheck, warn)
  return {
    ...protocolPart(Protocol, why => warn('Protocol', why)),
    ...(ConnectTimeoutMs ? { timeouts: { connect: timeText(ConnectTimeoutMs) } } : {}),
    ...(Object.keys(limits).length === 0 ? {} : { limits }),
    ...(Object.keys(outliers).length === 0 ? {} : { outliers }),
  }
}

function limit(name: string, value: number | null | undefined, least: number, warn: (why: string) => void): object {
  if (value === undefined || value === null) return {}
  if (value >= least) return { [name]: value }
  warn(`${value} would let nothing through: ${least} is used`)
  return { [name]: least }
}

function outliersOf(check: Upstream['PassiveHealthCheck'], warn: Warn): Readonly<Record<string, Json>> {
  if (!check) return {}
  const { Interval, MaxFailures, EnforcingConsecutive5xx: enforcing, MaxEjectionPercent, BaseEjectionTime } = check
  const isOff = enforcing === 0
  if (enforcing !== undefined && enforcing !== null && enforcing !== 0 && enforcing !== 100)
    warn(
      'PassiveHealthCheck.EnforcingConsecutive5xx',
      `${enforcing} % is not supported: an endpoint is ejected each time, and with 0 never`,
    )
  const [interval, base] = [goMs(Interval), goMs(BaseEjectionTime)]
  return {
    ...(interval === null || interval < 0 ? {} : { interval: timeText(interval) }),
    // Consul has Envoy count any 5xx, and enforce nothing else in a row.
    ...(isOff || MaxFailures ? { consecutiveGatewayFailures: 0 } : {}),
    ...(MaxFailures && !isOff ? { consecutive5xx: MaxFailures } : {}),
    ...(MaxEjectionPercent === undefined || MaxEjectionPercent === null
      ? {}
      : { maxEjectedPercent: Math.min(100, MaxEjectionPercent) }),
    ...(base === null || base < 0 ? {} : { baseEjection: timeText(base) }),
  }
}
