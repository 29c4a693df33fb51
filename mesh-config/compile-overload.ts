import { durationMs } from './duration.ts'
import type { OverloadPolicy } from './overload.ts'
import type { OverloadSpec } from './snapshot.ts'

/** Nothing where it is off. */
export function compileOverload(policy: OverloadPolicy): { overload?: OverloadSpec } {
  if (policy === null) return {}
  const { heap, lag, descriptors } = policy
  return {
    overload: {
      heap,
      lag: { closeAt: durationMs(lag.closeAt), shedAt: durationMs(lag.shedAt), refuseAt: durationMs(lag.refuseAt) },
      descriptors,
    },
  }
}
