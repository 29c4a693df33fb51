import type { BalancerType } from '../../mesh-config/snapshot.ts'
import type { LoadBalancerFactory } from '../core/balancer.ts'
import { leastRequest } from './least-request.ts'
import { random } from './random.ts'
import { roundRobin } from './round-robin.ts'

/** A policy named in mesh-config but not here does not compile. */
export const policies = {
  round_robin: roundRobin,
  random,
  least_request: leastRequest,
} satisfies Record<BalancerType, LoadBalancerFactory>
