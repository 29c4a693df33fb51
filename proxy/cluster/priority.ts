import { type LoadBalancer, NO_HASH } from '../core/balancer.ts'
import type { Random } from '../core/clock.ts'
import { mix32 } from '../core/hash.ts'
import { elsewhere, wasTried } from './elsewhere.ts'

/** Keeps the draw of a priority independent of the policy's use of the same hash. */
const SALT = 0x7072696f

/**
 * Draws a priority by load, then lets its picker choose. A policy that goes by hash has this drawn by hash too, so that
 * a key stays where it is while the loads do.
 * `loads`: percents that make 100, one for each picker, the first priority first.
 */
export function priorityPicker(
  pickers: readonly LoadBalancer[],
  loads: readonly number[],
  hashes: boolean,
  random: Random,
): LoadBalancer {
  const upTo = cumulative(loads)
  const last = loads.findLastIndex(load => load > 0)
  return {
    pick(context) {
      const draw = (hashes && context.hash !== NO_HASH ? mix32(context.hash, SALT) / 2 ** 32 : random()) * 100
      let i = 0
      while (i < last && draw >= upTo[i]!) i++
      let endpoint = pickers[i]!.pick(context)
      if (wasTried(endpoint, context)) endpoint = elsewhere(pickers, i, 0, context)
      context.record.priority = endpoint?.spec.priority ?? -1
      return endpoint
    },
  }
}

export function cumulative(values: readonly number[]): Float64Array {
  let total = 0
  return Float64Array.from(values, value => {
    total += value
    return total
  })
}
