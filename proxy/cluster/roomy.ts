import type { LoadBalancer, PickContext } from '../core/balancer.ts'
import type { Random } from '../core/clock.ts'
import type { Endpoint } from '../core/endpoint.ts'
import { forget } from './elsewhere.ts'

/** So often the policy chooses once more; after that endpoints are looked at in order. */
const REPICKS = 3

const NONE: readonly Endpoint[] = []
const idle = ({ pool }: Endpoint) => !pool.isBusy
const open = ({ pool }: Endpoint) => !pool.hasAllRequests

/**
 * Passes over an endpoint at a limit of its own (`limits.perEndpoint`) as if it had been tried, also for one of the next
 * priority. Null with `record.passedOver`: all of them are.
 */
export function roomyPicker(
  rotations: readonly (readonly Endpoint[])[],
  next: LoadBalancer,
  random: Random,
): LoadBalancer {
  function again(first: Endpoint, context: PickContext): Endpoint | null {
    const tried = context.tried as Endpoint[]
    const before = tried.length
    let endpoint: Endpoint | null = first
    for (let i = 0; i < REPICKS && endpoint?.pool.isBusy; i++) {
      context.record.passedOver++
      tried.push(endpoint)
      forget(context)
      endpoint = next.pick(context)
    }
    tried.length = before
    if (endpoint === null || !endpoint.pool.isBusy) return endpoint
    forget(context)
    // Where requests only have to wait for a connection, this one waits at the endpoint that the policy chose.
    return inOrder(idle, tried) ?? inOrder(idle, NONE) ?? (first.pool.hasAllRequests ? inOrder(open, NONE) : first)
  }

  function inOrder(has: (endpoint: Endpoint) => boolean, tried: readonly Endpoint[]): Endpoint | null {
    for (const rotation of rotations) {
      const start = Math.floor(random() * rotation.length)
      for (let i = 0; i < rotation.length; i++) {
        const endpoint = rotation[(start + i) % rotation.length]!
        if (has(endpoint) && !tried.includes(endpoint)) return endpoint
      }
    }
    return null
  }

  return {
    pick(context) {
      const endpoint = next.pick(context)
      return endpoint === null || !endpoint.pool.isBusy ? endpoint : again(endpoint, context)
    },
  }
}
