import type { BalancerSpec } from '../../mesh-config/snapshot.ts'
import type { LoadBalancer } from '../core/balancer.ts'
import type { Random } from '../core/clock.ts'
import type { Endpoint } from '../core/endpoint.ts'
import { elsewhere, wasTried } from './elsewhere.ts'
import { cumulative } from './priority.ts'
import { zoneShares } from './zone-shares.ts'

/** The zone of this sidecar and of the other callers. */
export interface Locality {
  /** Empty: no zone is known. */
  readonly zone: string
  /** How many instances of our own service stand in each zone; empty: not known. */
  readonly origins: Readonly<Record<string, number>>
}

/** Endpoints by zone, and the share of each. */
export interface ZonePlan {
  /** Our own zone first, if it has endpoints. */
  readonly zones: readonly {
    readonly zone: string
    readonly endpoints: readonly Endpoint[]
    readonly residual: number
  }[]
  /** The share of our requests that stays in our zone, 0 to 1. */
  readonly local: number
}

/**
 * Whether and how to prefer our own zone; a text says why not. `members`: all of the priority, whatever their health;
 * `rotation`: those that get requests.
 */
export function planZones(
  members: readonly Endpoint[],
  rotation: readonly Endpoint[],
  locality: Locality,
  { zoneAware }: BalancerSpec,
): ZonePlan | string {
  if (!zoneAware.on) return 'off'
  if (locality.zone === '') return 'this sidecar names no zone'
  if (rotation.length < zoneAware.minEndpoints) return `fewer than ${zoneAware.minEndpoints} endpoints`
  const byZone = Map.groupBy(rotation, ({ spec }) => spec.zone)
  if (byZone.size < 2) return 'all endpoints are in one zone'
  const origins = originsOf(members, locality)
  if (origins.size < 2) return 'all callers are in one zone'
  const capacity = new Map(
    [...byZone].map(([zone, endpoints]) => [zone, endpoints.reduce((sum, { weight }) => sum + weight, 0)]),
  )
  const { local, residual } = zoneShares(locality.zone, capacity, origins)
  const zones = [...byZone].map(([zone, endpoints]) => ({ zone, endpoints, residual: residual.get(zone) ?? 0 }))
  return {
    local,
    zones: [
      ...zones.filter(({ zone }) => zone === locality.zone),
      ...zones.filter(({ zone }) => zone !== locality.zone),
    ],
  }
}

/**
 * This sidecar is one of the callers, registered or not. Where the zones of the others are unknown, each zone with
 * endpoints of the service is taken to have as many callers; endpoints that are down count too, because the callers of
 * their zone are still there.
 */
function originsOf(members: readonly Endpoint[], { zone, origins }: Locality): Map<string, number> {
  const known = new Map(Object.entries(origins).filter(([, count]) => count > 0))
  if (known.size === 0) for (const { spec } of members) known.set(spec.zone, 1)
  if (!known.has(zone)) known.set(zone, 1)
  return known
}

/** `pickers`: one for each zone of the plan. */
export function zonePicker(
  plan: ZonePlan,
  pickers: readonly LoadBalancer[],
  own: string,
  random: Random,
): LoadBalancer {
  const { local } = plan
  const upTo = cumulative(plan.zones.map(({ residual }) => residual))
  const total = upTo.at(-1)!
  // None, where rounding loses the last thousandth: then all requests stay.
  const last = plan.zones.findLastIndex(({ residual }) => residual > 0)
  const isOurs = plan.zones.map(({ zone }) => zone === own)
  return {
    pick(context) {
      let i = 0
      if (local < 1 && random() >= local) {
        const draw = random() * total
        while (i < last && draw >= upTo[i]!) i++
      }
      let endpoint = pickers[i]!.pick(context)
      let stays = isOurs[i]!
      if (wasTried(endpoint, context)) {
        endpoint = elsewhere(pickers, i, Math.floor(random() * pickers.length), context)
        stays = endpoint?.spec.zone === own
      }
      context.record.zone = stays ? 'local' : 'spill'
      return endpoint
    },
  }
}
