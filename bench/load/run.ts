import { setTimeout as sleep } from 'node:timers/promises'
import { type Contestant, startContestant } from './contestant.ts'
import type { Cores } from './cores.ts'
import { type Figures, measureLoad, measureMemory, measureRate } from './measure.ts'
import type { Options } from './options.ts'
import { note, progress } from './progress.ts'
import type { Features, ProxyProgram } from './proxies/proxy.ts'
import type { Results } from './results.ts'
import {
  type FeatureScenario,
  type LoadScenario,
  type MemoryScenario,
  type RateScenario,
  type Scenario,
  SMALL_GET,
} from './scenarios.ts'
import { scrapeEverySecond } from './scrape.ts'
import { TRAFFIC } from './traffic/table.ts'
import type { Traffic } from './traffic/traffic.ts'

interface Plan {
  readonly options: Options
  readonly proxies: readonly ProxyProgram[]
  readonly cores: Cores
  readonly results: Results
}

/** The same for one kind of traffic: its backends run. */
interface TrafficPlan extends Plan {
  readonly traffic: Traffic
  readonly upstreams: readonly number[]
}

interface Entry {
  readonly label: string
  readonly features: Features
  readonly contestant: Contestant
}

/** Start-up's own name among the results: measured at every start, so it is no scenario of its own. */
export const START = 'start'

export async function runAll(plan: Plan): Promise<void> {
  const { scenarios } = plan.options
  for (const traffic of Object.values(TRAFFIC)) {
    const own = scenarios.filter(scenario => ('traffic' in scenario ? scenario.traffic : 'http1') === traffic.name)
    if (own.length > 0) await runTraffic({ ...plan, traffic, upstreams: [] }, own)
  }
}

async function runTraffic(plan: TrafficPlan, scenarios: readonly Scenario[]): Promise<void> {
  progress(`starting the backends (${plan.traffic.name})`)
  const backends = await plan.traffic.startBackends()
  const own = {
    ...plan,
    proxies: plan.proxies.filter(({ carries }) => carries.includes(plan.traffic.name)),
    upstreams: backends.ports,
  }
  const loads = scenarios.filter(({ kind }) => kind === 'load' || kind === 'rate') as (LoadScenario | RateScenario)[]
  if (loads.length > 0) await runLoads(own, loads)
  for (const scenario of scenarios) if (scenario.kind === 'features') await runFeatures(own, scenario)
  const memory = scenarios.filter(({ kind }) => kind === 'memory') as MemoryScenario[]
  if (memory.length > 0) await runMemory(own, memory)
  await Promise.all(backends.children.map(child => child.stop()))
}

/**
 * All proxies are up at once and take turns: whatever else the machine does hits them alike. The ones that wait cost
 * next to nothing.
 */
async function runLoads(plan: TrafficPlan, scenarios: readonly (LoadScenario | RateScenario)[]): Promise<void> {
  const { options, cores } = plan
  const entries = await startAll(
    plan,
    plan.proxies.map(proxy => ({ proxy, features: 'standard' })),
  )
  await warmUp(plan, entries)
  for (const scenario of scenarios) {
    await takeTurns(plan, entries, scenario.name, scenario.title, ({ contestant }) =>
      scenario.kind === 'load'
        ? measureLoad(contestant, scenario, options, cores)
        : measureRate(contestant, scenario, options, cores),
    )
  }
  await stopAll(entries)
}

/** V8 compiles on the proxy's one core for so long; the others get the same. */
const COMPILED_S = 6

async function warmUp({ traffic, options }: TrafficPlan, entries: readonly Entry[]): Promise<void> {
  if (options.quick) return
  for (const { label, contestant } of entries) {
    progress(`warming up, ${label}`)
    await traffic.load({ port: contestant.listen, ...traffic.first, connections: 16, streams: 1, seconds: COMPILED_S })
  }
}

async function runFeatures(plan: TrafficPlan, scenario: FeatureScenario): Promise<void> {
  const variants = plan.proxies
    .filter(({ name }) => scenario.proxies.includes(name))
    .flatMap(proxy =>
      scenario.variants
        .filter(features => proxy.traces === true || !features.startsWith('traces'))
        .map(features => ({ proxy, features })),
    )
  const entries = await startAll(plan, variants)
  await warmUp(plan, entries)
  await takeTurns(plan, entries, scenario.name, scenario.title, async ({ contestant, features }) => {
    const scraper = features === 'full' ? scrapeEverySecond(contestant) : null
    try {
      const figures = await measureLoad(
        contestant,
        { ...SMALL_GET, connections: scenario.connections, path: scenario.path },
        plan.options,
        plan.cores,
      )
      if (scraper?.failure != null) throw scraper.failure
      return figures
    } finally {
      scraper?.stop()
    }
  })
  await stopAll(entries)
}

/** Start-up's own garbage may go first. */
const SETTLED_MS = 1_000
/** What is idle is so for a while: compilers that a start has made busy come later, and so does what is given back. */
const IDLE_MS = 20_000

/**
 * Fresh processes for each stage, so that no stage inherits the memory of the one before; only the idle ones may go on
 * to their connections.
 */
async function runMemory(plan: TrafficPlan, scenarios: readonly MemoryScenario[]): Promise<void> {
  const lives = [['idle', 'connections'], ['bodies'], ['loaded']].map(stages =>
    scenarios.filter(({ stage }) => stages.includes(stage)),
  )
  for (const life of lives.filter(({ length }) => length > 0)) {
    for (let round = 1; round <= plan.options.rounds; round++) {
      const entries = await startAll(
        plan,
        plan.proxies.map(proxy => ({ proxy, features: 'standard' })),
      )
      await sleep(life.some(({ stage }) => stage === 'idle') ? IDLE_MS : SETTLED_MS)
      for (const scenario of life) {
        await takeTurns(
          plan,
          entries,
          scenario.name,
          `memory, ${scenario.title}`,
          ({ contestant }) => measureMemory(contestant, scenario, plan.options),
          1,
        )
      }
      await stopAll(entries)
    }
  }
}

async function takeTurns(
  plan: Plan,
  entries: readonly Entry[],
  name: string,
  title: string,
  measure: (entry: Entry) => Promise<Figures>,
  rounds = plan.options.rounds,
): Promise<void> {
  const { results } = plan
  for (let round = 1; round <= rounds; round++) {
    for (const entry of entries) {
      if (entry.contestant.child.hasExited()) continue
      progress(`${title}, ${rounds > 1 ? `round ${round} of ${rounds}, ` : ''}${entry.label}`)
      try {
        const figures = await measure(entry)
        results.add(name, entry.label, figures)
        if ((figures.failures ?? 0) > 0) report(results, name, entry.label, `${figures.failures} requests failed`)
      } catch (error) {
        const { child } = entry.contestant
        report(
          results,
          name,
          entry.label,
          child.hasExited()
            ? `it ended during the measurement; its last words: ${child.lastWords()}`
            : (error as Error).message,
        )
      }
    }
  }
}

/**
 * One after the other, so that each start can be timed; one that does not start is a problem on record, not the end of
 * the bench.
 */
async function startAll(
  plan: TrafficPlan,
  wanted: readonly { proxy: ProxyProgram; features: Features }[],
): Promise<Entry[]> {
  const entries: Entry[] = []
  for (const { proxy, features } of wanted) {
    const label = features === 'standard' ? proxy.name : `${proxy.name}:${features}`
    try {
      const contestant = await startContestant(proxy, features, plan.traffic, plan.upstreams, plan.cores)
      entries.push({ label, features, contestant })
      if (features === 'standard' && plan.traffic.name === 'http1')
        plan.results.add(START, label, { startMs: contestant.startMs })
    } catch (error) {
      report(plan.results, START, label, (error as Error).message)
    }
  }
  return entries
}

async function stopAll(entries: readonly Entry[]): Promise<void> {
  await Promise.all(entries.map(({ contestant }) => contestant.child.stop()))
}

function report(results: Results, scenario: string, contestant: string, message: string): void {
  results.problems.push({ scenario, contestant, message })
  note(`${contestant}, ${scenario}: ${message}`)
}
