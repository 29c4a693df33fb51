import type { LoadBalancer, PickContext } from '../core/balancer.ts'
import type { Endpoint } from '../core/endpoint.ts'

export function wasTried(endpoint: Endpoint | null, { tried }: PickContext): boolean {
  return tried.length !== 0 && endpoint !== null && tried.includes(endpoint)
}

/**
 * For when every endpoint of `first` was tried: another of the pickers, from `start` on, that has an untried one; when
 * none has, `first`.
 */
export function elsewhere(
  pickers: readonly LoadBalancer[],
  first: number,
  start: number,
  context: PickContext,
): Endpoint | null {
  const count = pickers.length
  for (let step = 0; step < count; step++) {
    const i = (start + step) % count
    if (i === first) continue
    forget(context)
    const endpoint = pickers[i]!.pick(context)
    if (endpoint !== null && !wasTried(endpoint, context)) return endpoint
  }
  forget(context)
  return pickers[first]!.pick(context)
}

/** Removes what a picker noted whose choice is not taken. */
export function forget({ record }: PickContext): void {
  record.other = null
  record.load = 0
  record.otherLoad = 0
  record.priority = -1
  record.sticky = false
  record.zone = ''
  record.panic = false
}
