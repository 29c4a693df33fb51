import type { Answer, Question } from '../core/channel.ts'
import type { Clock, Random } from '../core/clock.ts'
import type { Applier } from './apply.ts'
import type { Discover } from './discover.ts'
import { endpointsView } from './endpoints-view.ts'
import { explain } from './explain.ts'
import type { Listeners } from './listeners.ts'
import type { Records } from './records.ts'

export interface AnswersDeps extends Discover {
  readonly clock: Clock
  readonly random: Random
  readonly applier: Applier
  readonly records: Records
  readonly listeners: Pick<Listeners, 'sockets'>
  readonly shrinkHeap: () => void
}

/** What the control thread may ask of a data thread, for the pages of the admin port and to keep house. */
export function answer(question: Question, deps: AnswersDeps): Answer | Promise<Answer> {
  const { clock, random, applier, records, listeners, discover, discoverAhead } = deps
  switch (question.what) {
    case 'endpoints':
      // What has no endpoints of its own is no service to look at.
      return endpointsView(
        applier.clusters().filter(({ spec }) => spec.kind !== 'original'),
        clock.now(),
      )
    case 'uses':
      return { uses: Object.fromEntries(applier.clusters().map(cluster => [cluster.name, cluster.admission.uses])) }
    case 'shrink':
      deps.shrinkHeap()
      return { shrunk: true }
    case 'flights':
      return { flights: records.flights(question.failedOnly) }
    case 'sockets':
      return { sockets: listeners.sockets() }
    case 'learnt':
      return { learnt: applier.learnt() }
    case 'by-hand':
      return applier.byHand(question)
    case 'explain':
      return explain(question, { clock, random, discover, discoverAhead, runtime: () => inForce(applier) })
  }
}

function inForce(applier: Applier) {
  const runtime = applier.inForce()
  return { listeners: runtime?.listeners ?? new Map(), services: runtime?.snapshot.services ?? {} }
}
