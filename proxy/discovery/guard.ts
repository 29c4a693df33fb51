import type { EndpointSpec } from '../../mesh-config/snapshot.ts'
import type { Clock } from '../core/clock.ts'
import type { Log } from '../core/log.ts'
import { NODE_LOST } from '../core/source.ts'
import { byAddress, type EndpointMap, isInUse, isPassing, sorted } from './endpoint-lists.ts'
import type { Probe } from './probe.ts'

/** How much younger a second answer must be to count. */
const APART_MS = 1_000
/** The longest time a suspect is kept: a source whose answers always differ must not keep endpoints for ever. */
const LONGEST_MS = 10_000
const PROBE_AGAIN_MS = 5_000
/**
 * A registry that loses its nodes may report that in several answers: the rest is compared with the largest set in this
 * time.
 */
const MEMORY_MS = 10_000
/** With fewer endpoints no removal counts as a mass removal. */
const FEWEST = 3

/**
 * Doubts answers that remove too many endpoints. The removed ones stay as suspects, as usable as before, until a
 * connection to them fails or a second answer says the same; sources are asked again at once for that (`isUndecided`).
 * When an answer would leave no usable endpoint, only failed connections count. States that an answer gives to an
 * instance (critical, maintenance, draining) are obeyed at once, except critical because of lost contact with the node,
 * which counts like a removal.
 */
export interface Guard {
  /** An answer of the source. `changed` is not called for it. */
  take(endpoints: readonly EndpointSpec[]): void
  /** The endpoints to assume before the first answer. */
  assume(endpoints: readonly EndpointSpec[]): void
  /** The endpoints to use, by address. */
  endpoints(): EndpointSpec[]
  /** The same without the marks of doubt: to be saved. */
  trusted(): EndpointSpec[]
  suspects(): number
  /** There are suspects, and a second answer decides about them. */
  isUndecided(): boolean
  stop(): void
}

export interface GuardOptions {
  readonly service: string
  readonly source: string
  /** 100: only answers that leave nothing are doubted. */
  readonly massRemovalPercent: () => number
  readonly probe: Probe
  readonly clock: Clock
  readonly log: Log
  /** A suspect was removed without an answer. */
  readonly changed: () => void
}

interface Suspect {
  readonly spec: EndpointSpec
  readonly shown: EndpointSpec
  /** Since when answers that are not empty leave it out. */
  since: number
  probing: boolean
}

export function guard({ service, source, massRemovalPercent, probe, clock, log, changed }: GuardOptions): Guard {
  let answer: EndpointMap = new Map()
  const suspects = new Map<string, Suspect>()
  /** The last answer left no usable endpoint. */
  let isEmptied = false
  /** When an answer last changed the set of suspects. */
  let doubtedAt = 0
  let most = 0
  let mostAt = 0
  let tally = { back: 0, dead: 0, confirmed: 0 }
  let stopped = false
  const again = clock.timer(probeAll)

  function take(endpoints: readonly EndpointSpec[]): void {
    const next = byAddress(endpoints)
    const now = clock.now()
    const passing = count(answer, isPassing)
    const left = count(next, isPassing)
    if (passing >= most || now - mostAt > MEMORY_MS) {
      most = passing
      mostAt = now
    }
    const back = clear(name => !isMissing(next.get(name)))
    tally.back += back
    const empties = count(next, isInUse) === 0
    const missing = [...answer].filter(
      ([name, spec]) => (empties ? isInUse(spec) : isPassing(spec)) && isMissing(next.get(name)),
    )
    const isMass = isMost(missing.length, passing)
    const doubted = empties || isMass || (missing.length > 0 && isMost(most - left, most)) ? missing : []
    if (doubted.length > 0)
      doubt(
        doubted,
        empties
          ? ''
          : isMass
            ? `${missing.length} of ${passing} endpoints at once`
            : `${most - left} of ${most} endpoints in a short time`,
      )
    if (empties || isEmptied) for (const suspect of suspects.values()) suspect.since = now
    if (doubted.length > 0 || back > 0 || empties !== isEmptied) doubtedAt = now
    else if (!empties && now - doubtedAt >= APART_MS) tally.confirmed += clear(() => true)
    if (!empties) tally.confirmed += clear((_name, { since }) => now - since >= LONGEST_MS)
    isEmptied = empties
    answer = next
    sayWhenOver()
  }

  function isMost(part: number, whole: number): boolean {
    return whole >= FEWEST && part * 100 > massRemovalPercent() * whole
  }

  /** `leftOut`: the endpoints removed too many; empty: no usable one would be left. */
  function doubt(missing: readonly (readonly [string, EndpointSpec])[], leftOut: string): void {
    if (suspects.size === 0) {
      const what =
        leftOut === ''
          ? `${source} says that no usable endpoint is left of ${missing.length}: they stay as suspects until connections to them fail`
          : `${source} left out ${leftOut}: they stay as suspects until connections to them fail or a second answer says the same`
      log.warn(`${service}: ${what}`, { service, source, suspects: missing.length })
    }
    const healthReason = `suspect: ${source} no longer vouches for it, kept while it takes connections`
    for (const [name, spec] of missing)
      suspects.set(name, { spec, shown: { ...spec, healthReason }, since: clock.now(), probing: false })
    probeAll()
  }

  function clear(isOver: (name: string, suspect: Suspect) => boolean): number {
    const over = [...suspects].filter(([name, suspect]) => isOver(name, suspect))
    for (const [name] of over) suspects.delete(name)
    return over.length
  }

  function probeAll(): void {
    again.arm(PROBE_AGAIN_MS)
    for (const [name, suspect] of suspects) {
      if (suspect.probing) continue
      suspect.probing = true
      probe(suspect.spec, accepts => {
        suspect.probing = false
        if (accepts || stopped || suspects.get(name) !== suspect) return
        suspects.delete(name)
        tally.dead++
        changed()
        sayWhenOver()
      })
    }
  }

  function sayWhenOver(): void {
    if (suspects.size > 0) return
    again.cancel()
    const { back, dead, confirmed } = tally
    if (back + dead + confirmed === 0) return
    tally = { back: 0, dead: 0, confirmed: 0 }
    log.info(
      `${service}: nothing of ${source} is suspect any longer: ${back} came back, ${dead} took no connection, ${confirmed} confirmed gone`,
      {
        service,
        source,
        back,
        dead,
        confirmed,
      },
    )
  }

  function overlaid(of: (suspect: Suspect) => EndpointSpec): EndpointSpec[] {
    if (suspects.size === 0) return sorted(answer)
    const all = new Map(answer)
    for (const [name, suspect] of suspects) all.set(name, of(suspect))
    return sorted(all)
  }

  return {
    take,
    assume(endpoints) {
      answer = byAddress(endpoints)
    },
    endpoints: () => overlaid(({ shown }) => shown),
    trusted: () => overlaid(({ spec }) => spec),
    suspects: () => suspects.size,
    isUndecided: () => suspects.size > 0 && !isEmptied,
    stop() {
      stopped = true
      again.cancel()
    },
  }
}

function isMissing(said: EndpointSpec | undefined): boolean {
  return said === undefined || (said.health === 'critical' && said.healthReason.startsWith(NODE_LOST))
}

function count(map: EndpointMap, is: (endpoint: EndpointSpec) => boolean): number {
  let n = 0
  for (const endpoint of map.values()) if (is(endpoint)) n++
  return n
}
