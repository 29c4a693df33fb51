import type { Clock, Random, Timer } from '../../core/clock.ts'
import type { Answer } from './answer.ts'
import type { ConsulClient, Crowd, Where } from './consul-client.ts'
import { watchConsul } from './watch.ts'

/** Mostly several join or leave at once. */
const SETTLE_MS = 100
/** While the shared queries fail, every service asks by itself at this interval. */
const BLIND_MS = 5_000
/**
 * After an unknown registration every service asks, at most this often; less and less often when that finds nothing,
 * again and again.
 */
const SWEEP_MS = 800
const SLOWEST_SWEEP_MS = 6_400

interface Waiting {
  readonly name: string
  changed: boolean
  /** It was woken for all services, not by a change of its own. */
  swept: boolean
  wake: (() => void) | null
}

export function crowdOf(
  client: Pick<ConsulClient, 'checks' | 'services' | 'spec'>,
  where: Where,
  deps: { clock: Clock; random: Random },
): Crowd {
  const { clock, random } = deps
  const watchDeps = { ...deps, waitMs: client.spec.waitMs, maxStaleMs: client.spec.maxStaleMs }
  const members = new Set<Waiting>()
  let signatures: ReadonlyMap<string, string> = new Map()
  let blind = false
  let watching: AbortController | null = null
  let sweepDue = false
  let sweptAt = Number.NEGATIVE_INFINITY
  let sweepMs = SWEEP_MS
  let registered = 0
  const settle: Timer = clock.timer(rewatch)
  const laterSweep: Timer = clock.timer(sweep)

  function wake(member: Waiting, swept = false): void {
    member.changed = true
    member.swept = swept
    member.wake?.()
  }

  function sweep(): void {
    const since = clock.now() - sweptAt
    if (since < sweepMs) {
      if (!sweepDue) laterSweep.arm(sweepMs - since)
      sweepDue = true
      return
    }
    sweepMs = since > SLOWEST_SWEEP_MS ? SWEEP_MS : Math.min(sweepMs * 2, SLOWEST_SWEEP_MS)
    sweepDue = false
    sweptAt = clock.now()
    for (const member of members) wake(member, true)
  }

  /** The names are part of the query: with other members it is another query. */
  function rewatch(): void {
    watching?.abort()
    watching = null
    if (members.size === 0) {
      laterSweep.cancel()
      sweepDue = false
      return
    }
    watching = new AbortController()
    const filter = filterOf(new Set([...members].map(({ name }) => name)))
    const { signal } = watching
    const checks = {
      ask: (asked: Parameters<typeof client.checks>[2]) => client.checks(filter, where, asked, signal),
      onAnswer(json: unknown) {
        blind = false
        const fresh = signaturesOf(json)
        const nodes = fresh.get('') !== (signatures.get('') ?? fresh.get(''))
        // A new member has no signature yet: it asks once more, so no change is missed.
        for (const member of members)
          if (nodes || signatures.get(member.name) !== (fresh.get(member.name) ?? '')) wake(member)
        signatures = new Map([...members].map(({ name }) => [name, fresh.get(name) ?? '']))
        signatures = new Map([...signatures, ['', fresh.get('') ?? '']])
      },
      isNews: () => true,
      onSame() {
        blind = false
      },
      onTrouble() {
        blind = true
        for (const member of members) wake(member)
      },
    }
    const moved = ({ index }: Answer) => {
      if (registered !== 0 && index !== registered) sweep()
      registered = index
    }
    const names = {
      ask: (asked: Parameters<typeof client.checks>[2]) => client.services(where, asked, signal),
      onAnswer: (_json: unknown, answer: Answer) => moved(answer),
      isNews: () => true,
      onSame: moved,
      onTrouble: () => {},
    }
    void watchConsul(checks, watchDeps, signal)
    void watchConsul(names, watchDeps, signal)
  }

  return {
    join(name) {
      const self: Waiting = { name, changed: false, swept: false, wake: null }
      members.add(self)
      settle.arm(SETTLE_MS)
      return {
        changed(atMostMs, signal) {
          return new Promise(resolve => {
            const done = () => {
              timer.cancel()
              signal.removeEventListener('abort', done)
              self.changed = false
              self.wake = null
              resolve()
            }
            const timer = clock.timer(done)
            if (self.changed || signal.aborted) return done()
            self.wake = done
            timer.arm(blind ? Math.min(atMostMs, BLIND_MS * (0.5 + 0.5 * random())) : atMostMs)
            signal.addEventListener('abort', done)
          })
        },
        found() {
          if (self.swept) sweepMs = SWEEP_MS
        },
        leave() {
          members.delete(self)
          settle.arm(SETTLE_MS)
        },
      }
    },
  }
}

/** Checks of nodes belong to no service. Passing ones are left out: there would be as many as nodes. */
function filterOf(names: ReadonlySet<string>): string {
  const any = [...names].map(name => name.replace(/[\\^$.*+?()[\]{}|`]/g, '\\$&')).join('|')
  return `ServiceName matches \`^(${any})$\` or (ServiceName == "" and Status != "passing")`
}

/**
 * By service, a text that changes whenever one of its checks changes, comes or goes; the empty name has that of nodes.
 */
function signaturesOf(json: unknown): Map<string, string> {
  if (!Array.isArray(json)) throw new Error('the answer of Consul is no list of checks')
  const lines = new Map<string, string[]>([['', []]])
  for (const { ServiceName, Node, CheckID, ModifyIndex } of json as Record<string, unknown>[]) {
    const name = String(ServiceName ?? '')
    const line = `${Node} ${CheckID} ${ModifyIndex}`
    const known = lines.get(name)
    if (known === undefined) lines.set(name, [line])
    else known.push(line)
  }
  return new Map([...lines].map(([name, all]) => [name, all.sort().join('\n')]))
}
