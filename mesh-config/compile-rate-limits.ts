import { compileMatch } from './compile-match.ts'
import type { RateLimitPolicy } from './rate-limits.ts'
import type { RateLimitKeySpec, RateLimitSpec } from './snapshot.ts'
import { toldApart } from './told-apart.ts'

const SECONDS = { s: 1, m: 60, h: 3600, d: 86_400 } as const

/** Nothing where there are no rules. */
export function compileRateLimits(rules: readonly RateLimitPolicy[] | undefined): { rateLimits?: RateLimitSpec[] } {
  if (rules === undefined || rules.length === 0) return {}
  const names = toldApart(rules.map(({ name, rate }) => name ?? rate))
  return { rateLimits: rules.map((rule, index) => compileRateLimit(rule, names[index]!)) }
}

function compileRateLimit({ rate, burst, by, match, mode, keys, tell }: RateLimitPolicy, name: string): RateLimitSpec {
  const count = Number(rate.slice(0, -2))
  const perSeconds = SECONDS[rate.at(-1) as keyof typeof SECONDS]
  return {
    name,
    count,
    perSeconds,
    burst: burst ?? Math.max(1, Math.ceil(count / perSeconds)),
    by: by.map(compileKey),
    ...(match === undefined ? {} : { match: compileMatch(match) }),
    mode,
    keys,
    tell,
  }
}

function compileKey({ header, identity, address }: RateLimitPolicy['by'][number]): RateLimitKeySpec {
  if (header !== undefined) return { kind: 'header', name: header.toLowerCase() }
  if (identity !== undefined) return { kind: 'identity' }
  return { kind: 'address', ipv4Bits: address!.ipv4, ipv6Bits: address!.ipv6 }
}
