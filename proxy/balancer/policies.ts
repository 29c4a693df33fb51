import type { BalancerType } from '../../mesh-config/snapshot.ts'
import type { BalancerPolicy } from '../core/balancer.ts'
import { adaptive } from './adaptive.ts'
import { ipHash } from './ip-hash.ts'
import { leastRequest } from './least-request.ts'
import { maglev } from './maglev.ts'
import { peakEwma } from './peak-ewma.ts'
import { random } from './random.ts'
import { responseTime } from './response-time.ts'
import { ringHash } from './ring-hash.ts'
import { roundRobin } from './round-robin.ts'

/** A policy named in mesh-config but not here does not compile. */
export const policies = {
  round_robin: roundRobin,
  random,
  least_request: leastRequest,
  ip_hash: ipHash,
  ring_hash: ringHash,
  maglev,
  peak_ewma: peakEwma,
  response_time: responseTime,
  adaptive,
} satisfies Record<BalancerType, BalancerPolicy>
