import type { Cells } from '../core/cells.ts'
import type { ByHandAnswer, ByHandQuestion } from '../core/channel.ts'
import type { Clock } from '../core/clock.ts'
import { ADMITTING, HELD, HELD_BY_FORCE } from '../core/ejection.ts'
import type { Endpoint } from '../core/endpoint.ts'
import type { ProxyEvent } from '../core/telemetry.ts'
import { type EndpointSet, emptiedWithout } from './room.ts'
import { eject, evidenceOf, readmit } from './states.ts'
import type { Steps } from './steps.ts'

export interface ByHandDeps {
  readonly clock: Clock
  readonly cells: Cells
  readonly event: (event: ProxyEvent) => void
  readonly sets: () => readonly EndpointSet[]
  readonly steps: Steps
  readonly whole: () => readonly Endpoint[]
}

/** All data threads are asked: what the first has done is no news to the others. */
const SAME_MS = 2_000

const REASON = 'by an operator'

/**
 * Ejections that an operator wants (`outrigger endpoints eject`): for a time, whatever `maxEjectedPercent` says. Where
 * nothing else of a set would be left it takes force. Without force the endpoint is used all the same when everything
 * else is gone later (cluster/load.ts).
 */
export function byHand(service: string, deps: ByHandDeps) {
  const { clock, cells, event } = deps

  function hold(endpoint: Endpoint, forMs: number, isForced: boolean): ByHandAnswer {
    const now = clock.now()
    const isHeld = endpoint.byHand === (isForced ? 'forced' : 'yes')
    if (isHeld && Math.abs(endpoint.ejectedUntil - now - forMs) < SAME_MS) return { done: true, why: '' }
    const emptied = isForced ? null : emptiedWithout(endpoint, deps.sets())
    if (emptied !== null)
      return {
        done: false,
        why: `${endpoint.name} is the last usable endpoint of ${emptied.name}: requests would go to it all the same, or fail`,
      }
    const evidence = evidenceOf(endpoint, service, cells)
    evidence.reason = REASON
    eject(endpoint, isForced ? HELD_BY_FORCE : HELD, forMs, now)
    deps.steps.changed()
    event({
      kind: 'endpoint-ejected',
      cluster: service,
      endpoint: endpoint.name,
      reason: REASON,
      forMs,
      by: 'operator',
      shadow: false,
      evidence: [],
    })
    return { done: true, why: '' }
  }

  function admit(endpoint: Endpoint): ByHandAnswer {
    if (endpoint.state === 'admitting') return { done: false, why: `${endpoint.name} is not ejected` }
    readmit(endpoint, ADMITTING, clock.now())
    deps.steps.changed()
    event({ kind: 'endpoint-admitted', cluster: service, endpoint: endpoint.name, by: 'operator' })
    return { done: true, why: '' }
  }

  return {
    byHand({ endpoint: name, ejectForMs, force }: ByHandQuestion): ByHandAnswer {
      const endpoint = deps.whole().find(each => each.name === name)
      if (endpoint === undefined) return { done: false, why: `${service} has no endpoint ${name}` }
      let answer: ByHandAnswer = { done: false, why: 'another data thread is changing the endpoints: ask again' }
      deps.steps.alone(() => {
        answer = ejectForMs === null ? admit(endpoint) : hold(endpoint, ejectForMs, force)
      }, true)
      deps.steps.refresh()
      return answer
    },
  }
}
