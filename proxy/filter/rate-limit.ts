import type { RateLimitSpec } from '../../mesh-config/snapshot.ts'
import type { Exchange } from '../core/exchange.ts'
import { failures } from '../core/failure.ts'
import type { Filter, Refusal } from '../core/filter.ts'
import type { RequestHead, ResponseHead } from '../core/message.ts'
import { add, type Counter } from '../core/telemetry.ts'
import { RateLimitKey } from './rate-limit-key.ts'
import type { TokenBuckets } from './token-buckets.ts'

const NAME = 'rate-limit'

/** What is counted of a rule. */
export interface RateLimitStats {
  readonly allowed: Counter
  /** Refused, or with `mode: shadow` what would have been. */
  readonly limited: Counter
  /** Buckets that lacked tokens and made room for other keys. */
  readonly evicted: Counter
}

/** A rule with its buckets: one object for each rule and data thread, kept over snapshots. */
export class RateLimiter {
  readonly spec: RateLimitSpec
  readonly buckets: TokenBuckets
  readonly refusal: Refusal
  readonly #matches: ((request: RequestHead) => boolean) | null
  readonly #stats: RateLimitStats
  readonly #key: RateLimitKey
  readonly #policy: string

  /** `matches` null: every request. */
  constructor(
    spec: RateLimitSpec,
    buckets: TokenBuckets,
    matches: ((request: RequestHead) => boolean) | null,
    stats: RateLimitStats,
  ) {
    const { name, count, perSeconds } = spec
    this.spec = spec
    this.buckets = buckets
    this.refusal = { failure: failures.rateLimited, detail: `${name}: ${inWords(spec)}` }
    this.#matches = matches
    this.#stats = stats
    this.#key = new RateLimitKey(spec.by)
    this.#policy = `"${name}";q=${count};w=${perSeconds}`
  }

  appliesTo({ request }: Exchange): boolean {
    return this.#matches === null || this.#matches(request)
  }

  /** As `TokenBuckets.take`. */
  take(exchange: Exchange): number {
    const { buckets } = this
    const { high, low } = this.#keyOf(exchange)
    const left = buckets.take(high, low, exchange.startedAt)
    add(left < 0 ? this.#stats.limited : this.#stats.allowed, 1)
    if (buckets.evicted !== 0) {
      add(this.#stats.evicted, buckets.evicted)
      buckets.evicted = 0
    }
    return left
  }

  look(exchange: Exchange): number {
    const { high, low } = this.#keyOf(exchange)
    return this.buckets.look(high, low, exchange.startedAt)
  }

  giveBack(exchange: Exchange): void {
    const { high, low } = this.#keyOf(exchange)
    this.buckets.giveBack(high, low)
  }

  #keyOf(exchange: Exchange): RateLimitKey {
    const { buckets } = this
    if (this.spec.by.length !== 0) this.#key.read(exchange, buckets.key0, buckets.key1)
    return this.#key
  }

  /** The fields of draft-ietf-httpapi-ratelimit-headers-10, and how long to wait. `left`: as `take` returned it. */
  tell({ headers }: ResponseHead, left: number, isGrpc: boolean): void {
    const seconds = Math.ceil(-left / 1000)
    headers.add('ratelimit-policy', this.#policy)
    headers.add('ratelimit', `"${this.spec.name}";r=${Math.max(0, left)}${left < 0 ? `;t=${seconds}` : ''}`)
    if (left >= 0) return
    headers.set('retry-after', String(seconds))
    if (isGrpc) headers.set('grpc-retry-pushback-ms', String(-left))
  }
}

/** `100/s, burst 20, for each x-key` */
export function inWords({ count, perSeconds, burst, by }: RateLimitSpec): string {
  const unit = { 1: 's', 60: 'm', 3600: 'h', 86400: 'd' }[perSeconds] ?? `${perSeconds}s`
  const parts = by.map(part =>
    part.kind === 'header' ? part.name : part.kind === 'identity' ? 'calling service' : 'address',
  )
  return `${count}/${unit}, burst ${burst}${parts.length === 0 ? '' : `, for each ${parts.join(' and ')}`}`
}

/** What is told with the answer of a request. */
interface Told {
  readonly limiter: RateLimiter
  readonly left: number
}

/** The rules of a listener, or of a service and one of its routes: each must have a token for the request. */
export function rateLimit(limiters: readonly RateLimiter[]): Filter {
  return {
    name: NAME,
    onRequest(exchange, slot) {
      let told: Told | null = null
      for (let i = 0; i < limiters.length; i++) {
        const limiter = limiters[i]!
        if (!limiter.appliesTo(exchange)) continue
        const left = limiter.take(exchange)
        const { mode, tell } = limiter.spec
        if (left < 0 && mode === 'enforce') {
          for (let before = 0; before < i; before++) giveBack(limiters[before]!, exchange)
          if (tell !== 'never') exchange.keep(slot, { limiter, left })
          return limiter.refusal
        }
        if (left < 0) exchange.decision.note(NAME, `would be refused by ${limiter.refusal.detail} (mode: shadow)`)
        else if (tell === 'always' && (told === null || left < told.left)) told = { limiter, left }
      }
      if (told !== null) exchange.keep(slot, told)
      return undefined
    },
    preview(exchange) {
      let refusal: Refusal | undefined
      for (const limiter of limiters) {
        if (!limiter.appliesTo(exchange)) continue
        const left = limiter.look(exchange)
        exchange.decision.note(NAME, previewText(limiter, left))
        if (left < 0 && limiter.spec.mode === 'enforce') refusal ??= limiter.refusal
      }
      return refusal
    },
    onResponse(exchange, response, slot) {
      const told = exchange.kept<Told>(slot)
      if (told !== undefined) told.limiter.tell(response, told.left, exchange.grpc !== '')
    },
  }
}

/** One in shadow mode may have had none to take. */
function giveBack(limiter: RateLimiter, exchange: Exchange): void {
  if (limiter.spec.mode === 'enforce' && limiter.appliesTo(exchange)) limiter.giveBack(exchange)
}

function previewText({ spec, refusal }: RateLimiter, left: number): string {
  const shadow = spec.mode === 'shadow' ? ' (mode: shadow)' : ''
  return left < 0
    ? `${refusal.detail}: no token left, the next one comes in ${-left} ms${shadow}`
    : `${refusal.detail}: a token is there, and ${left} are left after it${shadow}`
}
