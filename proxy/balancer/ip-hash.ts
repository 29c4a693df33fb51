import type { BalancerPolicy } from '../core/balancer.ts'
import { observeBound } from './hashed.ts'
import { createMaglev } from './maglev.ts'

/**
 * Keeps each caller, by its address, at one endpoint, with a Maglev table for any number of endpoints. Callers are
 * often few, so shares must be even, which those of a ring are not. Callers must stay when other endpoints come and go:
 * a modulus does not give that, nor does a jump hash when an endpoint leaves from the middle. Rendezvous hashing is
 * O(n).
 */
export const ipHash: BalancerPolicy = { create: createMaglev, hashes: true, observe: observeBound, reweigh: null }
