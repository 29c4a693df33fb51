import type { BalancerPolicy, LoadBalancerFactory } from '../core/balancer.ts'
import { aliasTable } from './alias.ts'
import { avoiding } from './avoid.ts'

const create: LoadBalancerFactory = (endpoints, deps) => {
  if (endpoints.length === 0) return { pick: () => null }
  const table = aliasTable(endpoints)
  return { pick: context => avoiding(endpoints, table.draw(deps.random), context.tried) }
}

/** Weighted random: each pick independent of the last. */
export const random: BalancerPolicy = { create, hashes: false, observe: null, reweigh: null }
