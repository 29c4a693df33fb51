import { type Verdict, verdict } from '../budgets.ts'
import type { ProxyProgram } from '../proxies/proxy.ts'
import type { Results } from '../results.ts'
import { START } from '../run.ts'
import type { Scenario } from '../scenarios.ts'
import { duration, figure, range, ratio } from './format.ts'

export interface Cell {
  readonly text: string
  readonly tone?: 'good' | 'bad' | 'quiet' | 'strong'
}

export interface Table {
  readonly title: string
  readonly head: readonly string[]
  readonly rows: readonly (readonly Cell[])[]
  /** Index of rows that begin a group, with the group's name. */
  readonly groups?: ReadonlyMap<number, string>
}

export interface Reported {
  readonly results: Results
  readonly proxies: readonly ProxyProgram[]
  readonly scenarios: readonly Scenario[]
}

export function allTables(reported: Reported): Table[] {
  return [
    cpuTable(reported),
    rateTable(reported),
    featureTable(reported),
    memoryTable(reported),
    startTable(reported),
  ].filter(table => table.rows.length > 0)
}

function cpuTable({ results, proxies, scenarios }: Reported): Table {
  const rows: Cell[][] = []
  const groups = new Map<number, string>()
  for (const { kind, name, title } of scenarios) {
    if (kind !== 'load') continue
    groups.set(rows.length, title)
    for (const proxy of proxies) {
      const cpu = results.get(name, proxy.name, 'cpuUs')
      if (cpu === null) continue
      const [user, system, rate] = ['userUs', 'systemUs', 'requestsPerSecond'].map(key =>
        figure(results.get(name, proxy.name, key)?.median ?? 0),
      )
      rows.push([
        proxyCell(proxy),
        { text: figure(cpu.median), tone: 'strong' },
        quiet(range(cpu)),
        quiet(`${user} + ${system}`),
        { text: ratio(results.ratio(name, proxy.name, 'cpuUs')) },
        budgetCell(proxy, verdict(results, name, 'cpuUs')),
        { text: rate ?? '' },
      ])
    }
  }
  return {
    title: 'CPU per request (us), less is better',
    head: ['', 'us/request', 'min - max', 'user + system', 'of Envoy', 'budget', 'requests/s'],
    rows,
    groups,
  }
}

function rateTable({ results, proxies, scenarios }: Reported): Table {
  const rows: Cell[][] = []
  let title = ''
  for (const scenario of scenarios) {
    if (scenario.kind !== 'rate') continue
    title = `Latency, ${scenario.title} (open loop, measured from when each request was due)`
    for (const proxy of proxies) {
      const get = (key: string) => results.get(scenario.name, proxy.name, key)
      const [p50, p99, max, late, cpu] = [get('p50Us'), get('p99Us'), get('maxUs'), get('lateP99Us'), get('cpuUs')]
      if (p50 === null || p99 === null || max === null || late === null || cpu === null) continue
      const spread = p99.samples > 1 ? `${duration(p99.min)} - ${duration(p99.max)}` : ''
      const times = [p50, p99].map(({ median }) => ({ text: duration(median), tone: 'strong' }) as const)
      rows.push([
        proxyCell(proxy),
        ...times,
        quiet(spread),
        { text: duration(max.median) },
        { text: figure(cpu.median) },
        quiet(duration(late.median)),
      ])
    }
  }
  return { title, head: ['', 'p50', 'p99', 'p99 min - max', 'slowest', 'CPU us/request', 'sender late, p99'], rows }
}

const FEATURES = {
  bare: 'routing and balancing only',
  standard: '+ retries (Envoy: and outlier detection)',
  'traces-1': '+ 1 % of the requests traced',
  'traces-100': '+ all requests traced',
  'rate-limit': '+ a rate limit on the route',
  'rate-limit-by-key': '+ a rate limit by address and header',
  faults: '+ faults that match no request',
  resilience: '+ a rate limit, faults, a breaker and adaptive concurrency',
  full: '+ JSON access log, scraped each second',
} as const

function featureTable({ results, proxies, scenarios }: Reported): Table {
  const rows: Cell[][] = []
  const groups = new Map<number, string>()
  let title = ''
  for (const scenario of scenarios) {
    if (scenario.kind !== 'features') continue
    title = `What features cost: CPU per request (us), ${scenario.title.replace(/,[^,]*$/, '')}`
    for (const proxy of proxies) {
      const bare = results.get(scenario.name, `${proxy.name}:bare`, 'cpuUs')
      for (const variant of scenario.variants) {
        const label = variant === 'standard' ? proxy.name : `${proxy.name}:${variant}`
        const cpu = results.get(scenario.name, label, 'cpuUs')
        if (cpu === null) continue
        if (variant === scenario.variants[0]) groups.set(rows.length, proxy.title)
        const more =
          bare === null || variant === 'bare'
            ? ''
            : `${cpu.median >= bare.median ? '+' : '-'}${figure(Math.abs(cpu.median - bare.median))}`
        const rate = results.get(scenario.name, label, 'requestsPerSecond')
        rows.push([
          { text: FEATURES[variant] },
          { text: figure(cpu.median), tone: 'strong' },
          quiet(range(cpu)),
          { text: more },
          { text: figure(rate?.median ?? 0) },
        ])
      }
    }
  }
  return { title, head: ['', 'us/request', 'min - max', 'more', 'requests/s'], rows, groups }
}

function memoryTable({ results, proxies, scenarios }: Reported): Table {
  const stages = scenarios.filter(({ kind }) => kind === 'memory')
  const rows: Cell[][] = []
  const groups = new Map<number, string>()
  for (const { name, title } of stages) {
    groups.set(rows.length, title)
    for (const proxy of proxies) {
      const [rss, anon] = [results.get(name, proxy.name, 'rssMb'), results.get(name, proxy.name, 'anonMb')]
      if (rss === null || anon === null) continue
      rows.push([
        proxyCell(proxy),
        { text: figure(rss.median), tone: 'strong' },
        quiet(range(rss)),
        { text: figure(anon.median) },
        { text: ratio(results.ratio(name, proxy.name, 'rssMb')) },
        budgetCell(proxy, verdict(results, name, 'rssMb')),
      ])
    }
  }
  return {
    title: 'Memory (MB): resident, and the part of it no other process can share',
    head: ['', 'RSS', 'min - max', 'private', 'of Envoy', 'budget'],
    rows,
    groups,
  }
}

function startTable({ results, proxies }: Reported): Table {
  const rows: Cell[][] = []
  for (const proxy of proxies) {
    const start = results.get(START, proxy.name, 'startMs')
    if (start === null) continue
    rows.push([
      proxyCell(proxy),
      { text: figure(start.median), tone: 'strong' },
      quiet(range(start)),
      budgetCell(proxy, verdict(results, START, 'startMs')),
    ])
  }
  return {
    title: 'Start of the process to the first request answered through it (ms), on one core',
    head: ['', 'ms', 'min - max', 'budget'],
    rows,
  }
}

export function budgetText({ budget, isMet }: Verdict): string {
  const limit = budget.of === 'envoy' ? `<= ${budget.limit.toFixed(2)} x` : `<= ${budget.limit}`
  return `${limit} ${isMet ? '✓' : '✗'}`
}

function budgetCell(proxy: ProxyProgram, result: Verdict | null): Cell {
  if (proxy.name !== 'outrigger' || result === null) return { text: '' }
  return { text: budgetText(result), tone: result.isMet ? 'good' : 'bad' }
}

function proxyCell({ name, title }: ProxyProgram): Cell {
  return name === 'outrigger' ? { text: title, tone: 'strong' } : { text: title }
}

function quiet(text: string): Cell {
  return { text, tone: 'quiet' }
}
