import type { HashKeySpec } from '../../mesh-config/snapshot.ts'
import { NO_HASH, type PickContext } from '../core/balancer.ts'
import type { Random } from '../core/clock.ts'
import type { Exchange } from '../core/exchange.ts'
import { hash32, mix32 } from '../core/hash.ts'
import { readCookie } from './cookies.ts'

/** Sets `context.hash`, and `context.madeCookie` where a cookie had to be made. */
export type HashKey = (exchange: Exchange, context: PickContext) => void

type CookieKey = Extract<HashKeySpec, { kind: 'cookie' }>

/**
 * What a hashing policy hashes. All sources that have a value count together, as Envoy's hash policies; after a
 * terminal one with a value the rest is not read. An empty value counts as none: it would send all callers to one
 * endpoint.
 */
export function hashKey(keys: readonly HashKeySpec[], random: Random): HashKey {
  const maker = makerOf(keys)
  return (exchange, context) => {
    context.hash = NO_HASH
    for (let i = 0; i < keys.length; i++) {
      const key = keys[i]!
      let value = textOf(key, exchange)
      if (value === '' && key === maker) {
        value = randomHex(random)
        context.madeCookie = value
      }
      if (value === '') continue
      const hash = hash32(value)
      context.hash = context.hash === NO_HASH ? hash : mix32(context.hash, hash)
      if (key.terminal) return
    }
  }
}

/** The cookie for requests that have none: one for a service, since one is enough to tell callers apart. */
export function makerOf(keys: readonly HashKeySpec[]): CookieKey | null {
  return keys.find((key): key is CookieKey => key.kind === 'cookie' && (key.ttlMs > 0 || key.session === true)) ?? null
}

function textOf(key: HashKeySpec, { request, peer }: Exchange): string {
  switch (key.kind) {
    case 'header':
      return request.headers.get(key.name) ?? ''
    case 'cookie':
      return readCookie(request.headers.get('cookie'), key.name)
    case 'query':
      return queryValue(request.path, key.name)
    case 'path': {
      const mark = request.path.indexOf('?')
      return mark < 0 ? request.path : request.path.slice(0, mark)
    }
    case 'sourceIp':
      return peer.address
  }
}

/** Decoded, and of several the first, as for routes. */
function queryValue(target: string, name: string): string {
  const mark = target.indexOf('?')
  return mark < 0 ? '' : (new URLSearchParams(target.slice(mark + 1)).get(name) ?? '')
}

/** 64 bits. */
function randomHex(random: Random): string {
  return half(random) + half(random)
}

function half(random: Random): string {
  return Math.floor(random() * 2 ** 32)
    .toString(16)
    .padStart(8, '0')
}
