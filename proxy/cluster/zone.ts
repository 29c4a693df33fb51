import type { BalancerSpec } from '../../mesh-config/snapshot.ts'
import type { LoadBalancer } from '../core/balancer.ts'
import type { Random } from '../core/clock.ts'
import type { Endpoint } from '../core/endpoint.ts'
import { elsewhere, wasTried } from './elsewhere.ts'
import { cumulative } from './priority.ts'
import { zoneShares } from './zone-shares.ts'

/** Where this sidecar stands. */
export interface Place {
  /** Empty: nowhere. */
  readonly zone: string
  /** How many instances of our own service stand in each zone; empty: not known. */
  readonly origins: Readonly<Record<string, number>>
}

/** Endpoints by zone, and how much goes where. */
export interface ZonePlan {
  /** Our own first, if it has any. */
  readonly zones: readonly {
    readonly zone: string
    readonly endpoints: readonly Endpoint[]
    readonly residual: number
  }[]
  /** The share of our requests that stays in our zone, 0 to 1. */
  readonly local: number
}

/**
 * Whether and how to prefer our own zone. A text says why not. `members`: all of the priority, whatever their health;
 * `rotation`: those that get requests.
 */
export function planZones(
  members: readonly Endpoint[],
  rotation: readonly Endpoint[],
  place: Place,
  { zoneAware }: BalancerSpec,
): ZonePlan | string {
  if (!zoneAware.on) return 'off'
  if (place.zone === '') return 'this sidecar names no zone'
  if (rotation.length < zoneAware.minEndpoints) return `fewer than ${zoneAware.minEndpoints} endpoints`
  const byZone = Map.groupBy(rotation, ({ spec }) => spec.zone)
  if (byZone.size < 2) return 'all endpoints are in one zone'
  const origins = originsOf(members, place)
  if (origins.size < 2) return 'all callers are in one zone'
  const capacity = new Map(
    [...byZone].map(([zone, endpoints]) => [zone, endpoints.reduce((sum, { weight }) => sum + weight, 0)]),
  )
  const { local, residual } = zoneShares(place.zone, capacity, origins)
  const zones = [...byZone].map(([zone, endpoints]) => ({ zone, endpoints, residual: residual.get(zone) ?? 0 }))
  return {
    local,
    zones: [...zones.filter(({ zone }) => zone === place.zone), ...zones.filter(({ zone }) => zone !== place.zone)],
  }
}

/**
 * We are one of the callers, registered or not. Where the others are is not known, there are taken to be as many in
 * each zone that the service has endpoints in: counted with those that are down, for their zone's callers are still
 * there.
 */
function originsOf(members: readonly Endpoint[], { zone, origins }: Place): Map<string, number> {
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
  // None, where the last of a thousandth is lost in rounding: then all stay.
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
