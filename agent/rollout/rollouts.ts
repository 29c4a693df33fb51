import type { Leadership } from '../leadership.ts'
import type { AgentLog } from '../log.ts'
import type { AgentPart } from '../part.ts'
import type { Candidates, Rollouts, StagedChange } from '../rollouts.ts'
import { type GroupResult, judge } from './judge.ts'
import { begun, planOf, type RolloutRecord, shareOf, wordsOf } from './record.ts'
import type { RolloutStore } from './store.ts'

export interface StagedRollouts extends Rollouts {
  readonly part: AgentPart
  /** The records there are, for metrics. */
  records(): readonly RolloutRecord[]
  /** One look at all that runs, as it is taken each second; for tests. */
  step(): Promise<void>
}

export interface RolloutDeps {
  readonly store: RolloutStore
  readonly leadership: Leadership
  /** Over the proxies of all agents that answer: those with the candidate, and the others. */
  readonly compare: (request: {
    readonly service: string
    readonly share: number
    readonly spanMs: number
  }) => Promise<{ readonly candidate: GroupResult; readonly others: GroupResult }>
  /** Where a proxy stands in [0, 10,000). */
  readonly placeOf: (service: string, proxy: string) => number
  readonly candidates: () => Candidates
  readonly log: AgentLog
  /** Wall time in milliseconds. */
  readonly now: () => number
}

const STEP_MS = 1_000
/** A step with too few requests goes on after so many intervals. */
const PATIENCE = 10
const LONGEST_SPAN_MS = 10 * 60_000

/**
 * Staged roll-outs. Which version, which step and why is in a record that all agents share; each of them gives the
 * candidate to its own proxies by it, and the leader writes it. So a leader that dies leaves nothing undone: the next
 * one goes on from the record.
 */
export function stagedRollouts(deps: RolloutDeps): StagedRollouts {
  const { store, leadership, placeOf, log, now } = deps
  /** What this agent has as a candidate: service -> version. */
  const staged = new Map<string, string>()
  let timer: NodeJS.Timeout | null = null
  let busy = false

  const runningFor = (service: string): RolloutRecord | null => {
    const record = store.get(service)
    return record !== null && record.version === staged.get(service) ? record : null
  }

  async function put(record: RolloutRecord): Promise<void> {
    await store.put(record).catch((error: Error) => {
      log.warn('the state of a roll-out cannot be written', { service: record.service, reason: error.message })
      return false
    })
  }

  function isStaged({ service, before, version, policy }: StagedChange): boolean {
    const record = store.get(service)
    // The first version, or what an agent that starts has kept: it takes nothing away from proxies that have it.
    if (before === null && record?.version !== version) return false
    if (policy.rollout === undefined) {
      staged.delete(service)
      if (record?.state === 'running')
        void put({ ...record, state: 'superseded', why: 'another version goes to all at once' })
      return false
    }
    if (record?.version === version && record.state === 'done') {
      staged.delete(service)
      return false
    }
    staged.set(service, version)
    if (record?.version === version) {
      // A restarted agent meets a decision of before.
      if (record.state !== 'running') setImmediate(() => decided(record))
    } else if (!isNewer(record?.version, version)) void put(begun(service, version, planOf(policy.rollout), now()))
    return true
  }

  function decided(record: RolloutRecord): void {
    const { service, version, state, why } = record
    if (staged.get(service) !== version) return
    log.info('a staged roll-out', { service, version, state: wordsOf(record) })
    if (state === 'running') return deps.candidates().chosenAnew(service)
    staged.delete(service)
    if (state === 'done') deps.candidates().promote(service)
    else deps.candidates().revert(service, `the roll-out was stopped: ${why}`)
  }
  store.onChange(decided)

  async function step(): Promise<void> {
    if (busy) return
    busy = true
    try {
      for (const record of store.all()) {
        // Asked anew each time: it may have ended meanwhile.
        if (record.state === 'running' && leadership.isLeader()) await look(record)
      }
    } finally {
      busy = false
    }
  }

  async function look(record: RolloutRecord): Promise<void> {
    const { service, plan, step: at, since } = record
    const age = now() - since
    const spanMs = Math.min(LONGEST_SPAN_MS, Math.max(STEP_MS, age))
    const { candidate, others } = await deps.compare({ service, share: shareOf(record), spanMs })
    const { verdict, why } = judge(candidate, others, plan)
    if (verdict === 'bad') return put({ ...record, state: 'reverted', why })
    const isOver = age >= plan.intervalMs && (verdict === 'good' || age >= plan.intervalMs * PATIENCE)
    // There is nobody to watch.
    const isEmpty = candidate.proxies === 0 && others.proxies > 0
    if (!isOver && !isEmpty) return
    const next = at + 1
    const isLast = next >= plan.steps.length - 1
    const seen = verdict === 'wait' ? `too few requests to tell: ${why}` : why
    await put({ ...record, step: next, since: now(), state: isLast ? 'done' : 'running', why: seen })
  }

  return {
    isStaged,
    takes(service, proxy) {
      const record = runningFor(service)
      return record !== null && placeOf(service, proxy) < shareOf(record)
    },
    words(service) {
      const record = runningFor(service) ?? runningFor('*')
      return record === null ? '' : wordsOf(record)
    },
    records: store.all,
    step,
    part: {
      name: 'rollout',
      register() {},
      async start() {
        await store.start()
        timer = setInterval(() => void step().catch((error: Error) => tell(error)), STEP_MS)
        timer.unref()
      },
      async stop() {
        if (timer !== null) clearInterval(timer)
        await store.stop()
      },
    },
  }

  function tell(error: Error): void {
    log.warn('a staged roll-out cannot be looked at', { reason: error.message })
  }
}

/** Versions that are numbers grow; an agent that is behind does not bring back an older one. */
function isNewer(known: string | undefined, version: string): boolean {
  if (known === undefined || !/^\d+$/.test(known) || !/^\d+$/.test(version)) return false
  return BigInt(known) > BigInt(version)
}
