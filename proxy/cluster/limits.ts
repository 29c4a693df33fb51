import type { EndpointLimitsSpec, ServiceLimits } from '../../mesh-config/snapshot.ts'
import type { LimitView } from '../core/channel.ts'
import { type Limited, limited, type SharedCounts } from '../core/shared-counts.ts'

const names = Object.keys(limited) as Limited[]

type Limits = Readonly<Partial<Record<Limited, number>>>

/** How much is in use of the limits that are set, in all data threads. */
export function usesOf(limits: Pick<ServiceLimits, Limited> | EndpointLimitsSpec, counts: SharedCounts): LimitView[] {
  const uses: LimitView[] = []
  for (const limit of names) {
    const most = (limits as Limits)[limit]
    if (most !== undefined) uses.push({ limit, used: counts.total(limited[limit]), most })
  }
  return uses
}

/** The default of mesh-config/call.ts: a guard of memory that all services have, and no news while there is room. */
const USUAL = 10_000

/** The limits that someone has set, or that are more than half in use, in words; nothing where there are none. */
export function limitNotes(limits: ServiceLimits, counts: SharedCounts): string[] {
  const told = usesOf(limits, counts).filter(({ used, most }) => most < USUAL || used * 2 > most)
  if (told.length === 0) return []
  return [`limits: ${told.map(({ limit, used, most }) => `${used} of ${most} ${limit}`).join(', ')} in use`]
}
