import type { BalancerPolicy } from '../core/balancer.ts'
import { observeBound } from './hashed.ts'
import { createMaglev } from './maglev.ts'

/**
 * Each caller, by its address, at one endpoint: a Maglev table, whatever the number of endpoints. Callers are often
 * few, so shares must be even, which rings are not; they must stay where they are when others come and go, which a
 * modulus does not give, nor a jump hash, when one leaves from the middle; and rendezvous hashing is O(n).
 */
export const ipHash: BalancerPolicy = { create: createMaglev, hashes: true, observe: observeBound, reweigh: null }
