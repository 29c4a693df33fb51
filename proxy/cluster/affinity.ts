import type { BalancerSpec, HashKeySpec } from '../../mesh-config/snapshot.ts'
import { NO_HASH } from '../core/balancer.ts'
import type { Random } from '../core/clock.ts'
import type { Cluster } from '../core/cluster.ts'
import { readCookie, writeCookie } from './cookies.ts'
import { hashKey, makerOf } from './hash-key.ts'

/** What keeps a caller at an endpoint: the key that is hashed, and the cookie of a sticky session. */
export type Affinity = Pick<Cluster, 'prepare' | 'cookie'>

const NONE: Affinity = { prepare: null, cookie: null }

export function affinity(spec: BalancerSpec, hashes: boolean, random: Random): Affinity {
  const { sticky } = spec
  if (!hashes && sticky === null) return NONE
  const keys = hashes ? keysOf(spec) : []
  const hash = hashKey(keys, random)
  const made = makerOf(keys)
  return {
    prepare(exchange, context) {
      // The context belongs to the connection: this overwrites what its last request left there.
      context.hash = NO_HASH
      context.madeCookie = ''
      context.sticky = sticky === null ? '' : readCookie(exchange.request.headers.get('cookie'), sticky.cookie)
      hash(exchange, context)
    },
    cookie:
      made === null && sticky === null
        ? null
        : (context, endpoint) => {
            // One cookie at a time: the hash keeps the caller at this endpoint until the next answer sets the other
            // cookie.
            if (made !== null && context.madeCookie !== '') return writeCookie(made, context.madeCookie)
            if (sticky === null || context.sticky === endpoint.stickyId) return ''
            return writeCookie({ name: sticky.cookie, ttlMs: sticky.ttlMs, path: sticky.path }, endpoint.stickyId)
          },
  }
}

function keysOf(spec: BalancerSpec): readonly HashKeySpec[] {
  return spec.type === 'ip_hash' ? [{ kind: 'sourceIp', terminal: true }] : spec.hashOn
}
