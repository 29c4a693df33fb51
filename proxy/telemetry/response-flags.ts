import type { Exchange } from '../core/exchange.ts'

/** As Envoy has them in `%RESPONSE_FLAGS%`; empty: none. */
export function flagsOf({ failure, decision }: Exchange): string {
  if (!decision.isDelayed) return failure?.flag ?? ''
  return failure === null ? 'DI' : `DI,${failure.flag}`
}
