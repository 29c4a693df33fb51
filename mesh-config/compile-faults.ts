import { compileMatch } from './compile-match.ts'
import { durationMs } from './duration.ts'
import type { FaultPolicy } from './faults.ts'
import { sizeBytes } from './size.ts'
import type { FaultSpec } from './snapshot.ts'
import { toldApart } from './told-apart.ts'

/** Absent where nothing is said. */
export function compileFaults(rules: readonly FaultPolicy[] | undefined): { faults?: FaultSpec[] } {
  if (rules === undefined) return {}
  const names = toldApart(rules.map(({ name }, index) => name ?? `fault-${index + 1}`))
  return { faults: rules.map((rule, index) => compileFault(rule, names[index]!)) }
}

function compileFault(
  { match, delay, abort, throttle, from, until, byHeaders, active }: FaultPolicy,
  name: string,
): FaultSpec {
  return {
    name,
    ...(match === undefined ? {} : { match: compileMatch(match) }),
    ...(delay === undefined
      ? {}
      : {
          delay: {
            minMs: durationMs(delay.time ?? delay.from!),
            maxMs: durationMs(delay.time ?? delay.to!),
            percent: delay.percent,
          },
        }),
    ...(abort === undefined
      ? {}
      : { abort: { status: abort.status ?? 0, grpcStatus: abort.grpcStatus ?? 0, percent: abort.percent } }),
    ...(throttle === undefined
      ? {}
      : { throttle: { bytesPerSecond: sizeBytes(throttle.rate), percent: throttle.percent } }),
    ...(from === undefined ? {} : { fromTime: Date.parse(from) }),
    ...(until === undefined ? {} : { untilTime: Date.parse(until) }),
    byHeaders,
    active,
  }
}
