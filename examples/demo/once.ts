import { setTimeout as sleep } from 'node:timers/promises'
import { get } from '../support/get.ts'
import { type Actions, evenSplit, killed, SLOW_MS, slowed, type Tell } from './director.ts'
import type { Load } from './load.ts'
import { instanceNamed, instancesOf, type Plan } from './mesh/plan.ts'
import { visitShop } from './visit.ts'
import type { Observer } from './watch/observer.ts'
import type { FoundTrace } from './watch/traces.ts'

/** One thing that must hold, what was seen, and what would have been right. */
export interface Check {
  readonly passed: boolean
  readonly text: string
  readonly seen: string
  readonly wanted: string
}

export interface OnceParts {
  readonly plan: Plan
  readonly acts: Actions
  readonly observer: Observer
  readonly tell: Tell
  /** Null: without Jaeger. */
  readonly traces: { found(): FoundTrace | null; retried(): number } | null
}

const percent = (share: number) => `${Number((100 * share).toFixed(share < 0.1 ? 1 : 0))} %`

/** Calls to a service that a share is judged by. A tenth of so many is 20, give or take 4. */
const ENOUGH = 200
/** None of the waits below is about speed: who is not there after a minute never comes. */
const PATIENCE_MS = 60_000
/** A trace is in Jaeger some seconds after its request, and one with a gap counts after ten more. */
const TRACE_PATIENCE_MS = 30_000
const MORE_KILLS = 3

/**
 * The minute of the director in half of it, with a look at the counters before and after each scene. A scene lasts
 * until there were calls enough to judge it.
 */
export async function playOnce({ plan, acts, observer, tell, traces }: OnceParts): Promise<Check[]> {
  const checks: Check[] = []

  /** Shares of the calls to each instance's service, of as many calls as it takes. */
  async function watch(service: string): Promise<(name: string) => number> {
    await observer.look()
    const before = observer.attempts()
    const during = (name: string) => (observer.attempts().get(name) ?? 0) - (before.get(name) ?? 0)
    const calls = (of: string) => instancesOf(plan, of).reduce((sum, peer) => sum + during(peer.name), 0)
    await until(() => calls(service) >= ENOUGH)
    return name => {
      const all = calls(instanceNamed(plan, name).service)
      return all === 0 ? 0 : during(name) / all
    }
  }

  async function until(holds: () => boolean, patienceMs = PATIENCE_MS): Promise<void> {
    const giveUpAt = performance.now() + patienceMs
    while (!holds() && performance.now() < giveUpAt) {
      await sleep(200)
      await observer.look()
    }
  }

  /**
   * An instance was killed, and requests that met it were made again. Where Jaeger has none of them whole, because the
   * instance took its spans along, it is killed again.
   */
  async function traceOfRetry({ found }: NonNullable<OnceParts['traces']>): Promise<FoundTrace | null> {
    for (let kills = 0; ; kills++) {
      await until(() => found() !== null, TRACE_PATIENCE_MS)
      if (found() !== null || kills === MORE_KILLS) return found()
      acts.kill(killed)
      await until(() => everyCallerSays(killed, ['ejected']))
      await watch('orders')
      await acts.bringBack(killed)
    }
  }

  /** What all callers say of it; with Consul an instance that is down is in nobody's list. */
  const everyCallerSays = (name: string, states: readonly string[]) =>
    observer.states(name).every(({ state }) => states.includes(state))

  function check(text: string, share: number, [low, high]: readonly [number, number]): void {
    const wanted = low === 0 ? `at most ${percent(high)}` : `${percent(low)} to ${percent(high)}`
    checks.push({ passed: share >= low && share <= high, text, seen: percent(share), wanted })
  }

  const visit = visitShop(plan.instances[0]!.ports.inbound)
  tell('all is well')
  let share = await watch('payments')
  check(
    'at first each instance of orders gets about a third',
    Math.min(...instancesOf(plan, 'orders').map(({ name }) => share(name))),
    [0.2, 0.4],
  )
  check('payments v2 gets its 10 % of the split', share('payments-3'), [0.03, 0.2])
  check(
    'each instance of prices gets half of the calls, which come on one gRPC connection',
    share('prices-1'),
    [0.35, 0.65],
  )

  acts.kill(killed)
  await until(() => everyCallerSays(killed, ['ejected']))
  share = await watch('orders')
  check(`${killed} gets no calls while it is down (but for probes)`, share(killed), [0, 0.05])
  await acts.bringBack(killed)
  await until(() => observer.states(killed).length > 0 && everyCallerSays(killed, ['admitting']))
  share = await watch('orders')
  check(`${killed} gets its share again once it is back`, share(killed), [0.2, 0.45])

  // Slow is ten times what the others take, however busy the machine is.
  const usual = observer.picture().instances.find(({ instance }) => instance.name === slowed)!.p50Ms ?? 0
  await acts.slow(slowed, Math.max(SLOW_MS, Math.round(usual * 10)))
  await until(
    () => (observer.picture().instances.find(({ instance }) => instance.name === slowed)!.p50Ms ?? 0) > usual * 2,
  )
  share = await watch('stock')
  check(`${slowed} gets fewer calls while it is slow (least_request)`, share(slowed), [0.002, 0.35])
  await acts.heal(slowed)
  // Until those that it still makes wait have gone.
  await until(() => observer.states(slowed).every(({ active }) => active < 2))
  share = await watch('stock')
  check(`${slowed} gets its half again once it is fast`, share(slowed), [0.3, 0.7])

  const version = await configVersion(plan)
  acts.split(evenSplit)
  let now = version
  const giveUpAt = performance.now() + PATIENCE_MS
  while (now === version && performance.now() < giveUpAt) {
    await sleep(100)
    now = await configVersion(plan)
  }
  share = await watch('payments')
  check('payments v2 gets half once the file is edited', share('payments-3'), [0.35, 0.65])
  await until(() => visit.orders > 20 || visit.troubles.length > 0)
  visit.leave()
  checks.push({
    passed: visit.orders > 20 && visit.troubles.length === 0,
    text: 'the WebSocket of the page stays open, and all orders that it tells of succeed',
    seen: visit.troubles[0] ?? `${visit.orders} orders`,
    wanted: 'more than 20',
  })
  if (traces !== null) {
    const found = await traceOfRetry(traces)
    checks.push({
      passed: found !== null,
      text: 'Jaeger has a trace that crosses four services and has a retry in it',
      seen: found === null ? `none of ${traces.retried()} with a retry` : `${found.services.length} services`,
      wanted: '4 services at least',
    })
  }
  return checks
}

async function configVersion({ instances }: Plan): Promise<string> {
  const { body } = await get(instances[0]!.ports.admin, '/config', { headers: { accept: 'application/json' } })
  return (JSON.parse(body) as { version: string }).version
}

/** Said of the whole run, once the load has ended. `ended`: processes that nobody had asked to end. */
export function finalChecks(load: Load, ended: readonly string[]): Check[] {
  return [
    // All requests are GET: whatever was under way at the killed instance may be sent again elsewhere, so there is no
    // excuse for a single one.
    { passed: load.failed === 0, text: 'no request fails', seen: `${load.failed} of ${load.sent}`, wanted: '0' },
    { passed: ended.length === 0, text: 'no process ends by itself', seen: String(ended.length), wanted: '0' },
  ]
}
