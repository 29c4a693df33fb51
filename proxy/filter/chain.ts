import type { Exchange } from '../core/exchange.ts'
import type { Filter, Verdict } from '../core/filter.ts'
import type { ResponseHead } from '../core/message.ts'

/** Runs filters in order, until one answers. No promise unless a filter returns one. */
export function runRequest(filters: readonly Filter[], exchange: Exchange): Verdict | Promise<Verdict> {
  for (let i = 0; i < filters.length; i++) {
    const verdict = filters[i]!.onRequest?.(exchange)
    if (verdict === undefined) continue
    return verdict instanceof Promise ? runRest(verdict, filters, i + 1, exchange) : verdict
  }
  return undefined
}

async function runRest(
  first: Promise<Verdict>,
  filters: readonly Filter[],
  from: number,
  exchange: Exchange,
): Promise<Verdict> {
  const verdict = await first
  if (verdict !== undefined) return verdict
  for (let i = from; i < filters.length; i++) {
    const next = await filters[i]!.onRequest?.(exchange)
    if (next !== undefined) return next
  }
  return undefined
}

export function runResponse(filters: readonly Filter[], exchange: Exchange, response: ResponseHead): void {
  for (let i = filters.length - 1; i >= 0; i--) filters[i]!.onResponse?.(exchange, response)
}

export function runComplete(filters: readonly Filter[], exchange: Exchange): void {
  for (let i = filters.length - 1; i >= 0; i--) filters[i]!.onComplete?.(exchange)
}
