import { setTimeout as sleep } from 'node:timers/promises'
import { get } from '../support/get.ts'
import { type Actions, evenSplit, killed, SLOW_MS, slowed, type Tell } from './director.ts'
import type { Load } from './load.ts'
import { instancesOf, type Plan } from './mesh/plan.ts'
import { visitShop } from './visit.ts'
import type { Observer } from './watch/observer.ts'

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
}

const percent = (share: number) => `${Number((100 * share).toFixed(share < 0.1 ? 1 : 0))} %`

/** The minute of the director in 20 seconds, with a look at the counters before and after each scene. */
export async function playOnce({ plan, acts, observer, tell }: OnceParts): Promise<Check[]> {
  const checks: Check[] = []

  /** Shares of the calls to each instance's service while this lasts. */
  async function watch(milliseconds: number): Promise<(name: string) => number> {
    await observer.look()
    const before = observer.attempts()
    await sleep(milliseconds)
    await observer.look()
    const after = observer.attempts()
    const during = (name: string) => (after.get(name) ?? 0) - (before.get(name) ?? 0)
    return name => {
      const { service } = plan.instances.find(instance => instance.name === name)!
      const all = instancesOf(plan, service).reduce((sum, peer) => sum + during(peer.name), 0)
      return all === 0 ? 0 : during(name) / all
    }
  }

  function check(text: string, share: number, [low, high]: readonly [number, number]): void {
    const wanted = low === 0 ? `at most ${percent(high)}` : `${percent(low)} to ${percent(high)}`
    checks.push({ passed: share >= low && share <= high, text, seen: percent(share), wanted })
  }

  /** Until every caller sends there again: an ejection lasts some seconds more. */
  async function untilAdmitting(name: string): Promise<void> {
    const giveUpAt = performance.now() + 10_000
    while (performance.now() < giveUpAt) {
      await observer.look()
      const states = observer.states(name)
      if (states.length > 0 && states.every(({ state }) => state === 'admitting')) return
      await sleep(200)
    }
  }

  /** Until the sidecar of web-1 has taken up its edited file. */
  async function untilReloaded(before: string): Promise<void> {
    const giveUpAt = performance.now() + 10_000
    while (performance.now() < giveUpAt && (await configVersion(plan)) === before) await sleep(100)
  }

  const visit = visitShop(plan.instances[0]!.ports.inbound)
  tell('all is well')
  await sleep(500)
  let share = await watch(2_000)
  check('at first each instance of orders gets about a third', Math.min(...instancesOf(plan, 'orders').map(({ name }) => share(name))), [0.2, 0.4])
  check('payments v2 gets its 10 % of the split', share('payments-3'), [0.03, 0.2])
  check('each instance of prices gets half of the calls, which come on one gRPC connection', share('prices-1'), [0.35, 0.65])

  acts.kill(killed)
  await sleep(800)
  share = await watch(2_200)
  check(`${killed} gets no calls while it is down (but for probes)`, share(killed), [0, 0.03])
  await acts.bringBack(killed)
  await untilAdmitting(killed)
  share = await watch(1_800)
  check(`${killed} gets its share again once it is back`, share(killed), [0.2, 0.45])

  await acts.slow(slowed, SLOW_MS)
  await sleep(600)
  share = await watch(3_000)
  check(`${slowed} gets fewer calls while it is slow (least_request)`, share(slowed), [0.002, 0.25])
  await acts.heal(slowed)
  await sleep(1_000)
  share = await watch(1_800)
  check(`${slowed} gets its half again once it is fast`, share(slowed), [0.3, 0.7])

  const version = await configVersion(plan)
  acts.split(evenSplit)
  await untilReloaded(version)
  await sleep(300)
  share = await watch(2_500)
  check('payments v2 gets half once the file is edited', share('payments-3'), [0.4, 0.6])
  await sleep(500)
  visit.leave()
  checks.push({
    passed: visit.orders > 20 && visit.troubles.length === 0,
    text: 'the WebSocket of the page stays open, and all orders that it tells of succeed',
    seen: visit.troubles[0] ?? `${visit.orders} orders`,
    wanted: 'about 4 a second',
  })
  return checks
}

async function configVersion({ instances }: Plan): Promise<string> {
  const { body } = await get(instances[0]!.ports.admin, '/config', { headers: { accept: 'application/json' } })
  return (JSON.parse(body) as { version: string }).version
}

/** Said of the whole run, once the load has ended. `ended`: processes that nobody had asked to end. */
export function finalChecks(load: Load, perSecond: number, seconds: number, ended: readonly string[]): Check[] {
  const meant = perSecond * seconds
  return [
    // All requests are GET: whatever was under way at the killed instance may be sent again elsewhere, so there is no excuse for a single one.
    { passed: load.failed === 0, text: 'no request fails', seen: `${load.failed} of ${load.sent}`, wanted: '0' },
    { passed: load.sent >= meant * 0.8, text: 'the load is sent as it was meant to be', seen: String(load.sent), wanted: `about ${Math.round(meant)}` },
    { passed: ended.length === 0, text: 'no process ends by itself', seen: String(ended.length), wanted: '0' },
  ]
}
