import { formatDuration } from './duration.ts'
import { change, suggested } from './fix.ts'
import type { Warn } from './located.ts'
import type { OverloadSpec, Snapshot } from './snapshot.ts'

/** Warns of thresholds that are never reached first. */
export function lintOverload({ overload }: Snapshot, warn: Warn): void {
  if (overload === undefined) return
  for (const monitor of ['heap', 'lag', 'descriptors'] as const) {
    const words = (value: number) => (monitor === 'lag' ? formatDuration(value) : `${value} %`)
    const { closeAt, shedAt, refuseAt } = overload[monitor]
    const wrong = (key: keyof OverloadSpec['heap'], at: number, behind: number) =>
      warn(
        ['overload', monitor, key],
        `${key} ${words(at)} is not below refuseAt ${words(behind)}, where everything is refused: write less, or ${monitor === 'lag' ? 'off' : '0'}`,
        suggested(change(['overload', monitor, key], monitor === 'lag' ? 'off' : 0)),
      )
    if (refuseAt > 0 && closeAt >= refuseAt) wrong('closeAt', closeAt, refuseAt)
    if (refuseAt > 0 && shedAt >= refuseAt) wrong('shedAt', shedAt, refuseAt)
    for (const key of ['shedAt', 'refuseAt'] as const)
      if (monitor === 'lag' && overload.lag[key] > 0 && overload.lag[key] < 100)
        warn(
          ['overload', 'lag', key],
          `${key} ${words(overload.lag[key])} is less than one collection of garbage may take, so requests are refused without need: write 1s`,
          suggested(change(['overload', 'lag', key], '1s')),
        )
  }
}
