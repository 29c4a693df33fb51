import { durationMs } from './duration.ts'
import type { ServicePolicy } from './service.ts'
import type { BalancerSpec, HashKeySpec } from './snapshot.ts'

type BalancerPolicy = ServicePolicy['balancer']

export function compileBalancer(policy: BalancerPolicy): BalancerSpec {
  const { decay, defaultRtt, failurePenalty, slowStart, zoneAware, sticky, hashOn, ...same } = policy
  return {
    ...same,
    hashOn: hashOn.map(compileHashKey),
    decayMs: durationMs(decay),
    defaultRttMs: durationMs(defaultRtt),
    failurePenaltyMs: durationMs(failurePenalty),
    slowStart: {
      windowMs: durationMs(slowStart.window),
      aggression: slowStart.aggression,
      minWeightPercent: slowStart.minWeightPercent,
    },
    zoneAware: { on: zoneAware.mode === 'on', minEndpoints: zoneAware.minEndpoints },
    sticky:
      sticky === false
        ? null
        : {
            cookie: sticky.cookie,
            ttlMs: durationMs(sticky.ttl),
            path: sticky.path,
            secret: sticky.cookieSecret ?? '',
          },
  }
}

function compileHashKey({ header, cookie, query, path, terminal }: BalancerPolicy['hashOn'][number]): HashKeySpec {
  if (header !== undefined) return { kind: 'header', name: header.toLowerCase(), terminal }
  if (query !== undefined) return { kind: 'query', name: query, terminal }
  if (cookie !== undefined)
    return {
      kind: 'cookie',
      name: cookie.name,
      ...(cookie.ttl === 'session' ? { ttlMs: 0, session: true } : { ttlMs: durationMs(cookie.ttl) }),
      path: cookie.path,
      terminal,
    }
  return { kind: path === true ? 'path' : 'sourceIp', terminal }
}

/** For the one endpoint of an inbound application: there is nothing to choose. */
export function plainBalancer(): BalancerSpec {
  return {
    type: 'round_robin',
    choices: 2,
    fullScan: 0,
    activeRequestBias: 1,
    hashOn: [],
    minimumRingSize: 1,
    maximumRingSize: 1,
    tableSize: 2,
    hashBalanceFactor: 0,
    decayMs: 10_000,
    defaultRttMs: 30,
    failurePenaltyMs: 0,
    slowStart: { windowMs: 0, aggression: 1, minWeightPercent: 100 },
    zoneAware: { on: false, minEndpoints: 1 },
    overprovisioning: 1.4,
    panic: { health: 0, ejected: 0 },
    sticky: null,
    subsetSize: 0,
  }
}
