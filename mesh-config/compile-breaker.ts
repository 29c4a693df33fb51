import { durationMs } from './duration.ts'
import type { ServicePolicy } from './service.ts'
import type { BreakerSpec, FallbackSpec } from './snapshot.ts'

export function compileBreaker(breaker: ServicePolicy['breaker']): { breaker?: BreakerSpec } {
  if (breaker === undefined) return {}
  return {
    breaker: {
      errorPercent: breaker.errorPercent,
      slowCallMs: durationMs(breaker.slowCall),
      slowPercent: breaker.slowPercent,
      windowMs: durationMs(breaker.window),
      volume: breaker.volume,
      openMs: durationMs(breaker.open),
      maxOpenMs: durationMs(breaker.maxOpen),
      jitterPercent: breaker.jitter,
      probes: breaker.probes,
    },
  }
}

/** `service`: to which it belongs. */
export function compileFallback(service: string, fallback: ServicePolicy['fallback']): { fallback?: FallbackSpec } {
  if (fallback === undefined) return {}
  const { on, reply, to } = fallback
  return {
    fallback: {
      on,
      reply: reply === undefined ? null : { ...reply, headers: Object.entries(reply.headers) },
      to: to === undefined ? null : { service: to.service ?? service, subset: to.subset ?? null },
    },
  }
}
