import type { AttemptRecord } from '../core/decision.ts'

const NOTHING: readonly string[] = []

/** What limited the choice of an endpoint, in words. */
export function wayOf(
  record: Pick<AttemptRecord, 'fallback' | 'sticky' | 'priority' | 'zone' | 'panic' | 'isProbe' | 'passedOver'>,
): readonly string[] {
  const { fallback, sticky, priority, zone, panic, isProbe, passedOver } = record
  if (!fallback && !sticky && priority < 0 && zone === '' && !panic && !isProbe && passedOver === 0) return NOTHING
  const way: string[] = []
  if (fallback) way.push('subset fallback')
  if (sticky) way.push('sticky session')
  if (priority >= 0) way.push(`priority ${priority}`)
  if (zone !== '') way.push(zone === 'local' ? 'own zone' : 'other zone')
  if (panic) way.push('panic')
  if (isProbe) way.push('probe of an ejected endpoint')
  if (passedOver > 0) way.push('past endpoints at their limit')
  return way
}
