import { mkdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import pc from 'picocolors'
import { verdicts } from '../budgets.ts'
import type { Cores } from '../cores.ts'
import type { Machine } from '../machine.ts'
import type { Options } from '../options.ts'
import type { ProxyProgram } from '../proxies/proxy.ts'
import type { Results } from '../results.ts'
import { renderMarkdown } from './markdown.ts'
import { renderPicture } from './picture.ts'
import { allTables, budgetText } from './tables.ts'
import { renderForTerminal } from './terminal.ts'

export interface Outcome {
  readonly options: Options
  readonly proxies: readonly ProxyProgram[]
  readonly versions: Readonly<Record<string, string>>
  readonly machine: Machine
  readonly cores: Cores
  readonly results: Results
}

const ROOT = resolve(import.meta.dirname, '../../..')
const NOISY = 0.1

/** The tables on stdout, the files in bench/results/, and after a complete run the picture. */
export async function writeReports(outcome: Outcome): Promise<void> {
  const { options, machine, cores, results, versions } = outcome
  const reported = { results, proxies: outcome.proxies, scenarios: options.scenarios }
  const warnings = warningsOf(outcome)
  for (const table of allTables(reported)) console.log(renderForTerminal(table))
  const judged = verdicts(results)
  if (judged.length > 0) {
    const missed = judged.filter(({ isMet }) => !isMet)
    const line =
      missed.length === 0
        ? pc.green(`all ${judged.length} budgets met`)
        : pc.red(`${missed.length} of ${judged.length} budgets missed`)
    console.log(
      `${line}${missed.map(one => `\n  ${one.budget.scenario}: ${one.value.toFixed(2)}, should be ${budgetText(one)}`).join('')}`,
    )
  }
  for (const warning of warnings) console.log(pc.yellow(`note: ${warning}`))

  // what the README shows has no holes: a run with a problem is not it
  const isComplete = options.complete && results.problems.length === 0
  const name = isComplete ? 'latest' : options.quick ? 'quick' : 'partial'
  const how = howMeasured(options, cores)
  const folder = join(ROOT, 'bench/results')
  mkdirSync(folder, { recursive: true })
  const written = { machine, how, versions, warnings, budgets: judged, problems: results.problems, results }
  writeFileSync(join(folder, `${name}.json`), `${JSON.stringify(written, null, 1)}\n`)
  writeFileSync(join(folder, `${name}.md`), renderMarkdown(reported, versions, machine, how))
  const files = [`bench/results/${name}.json`, `bench/results/${name}.md`]
  // a picture of less would replace the one the README shows
  const picture = isComplete ? 'docs/bench.svg' : `bench/results/${name}.svg`
  mkdirSync(join(ROOT, 'docs'), { recursive: true })
  writeFileSync(join(ROOT, picture), renderPicture(reported, versions, machine, how))
  console.log(pc.dim(`written: ${[...files, picture].join(', ')}`))
}

function howMeasured({ rounds, seconds }: Options, cores: Cores): string {
  const pinning =
    cores.warning === null ? 'Proxy on one core; load and three backends on another.' : `Not pinned: ${cores.warning}.`
  const taken =
    rounds === 1
      ? `One measurement of ${seconds} s each`
      : `Medians of ${rounds} rounds of ${seconds} s, proxies taking turns`
  return `${pinning} ${taken}.`
}

function warningsOf({ machine, cores, results }: Outcome): string[] {
  const others = results.highest('othersShare')
  return [
    ...(cores.warning === null ? [] : [cores.warning]),
    ...(machine.loadAverage > 1
      ? [`the machine was busy before the bench began (load average ${machine.loadAverage})`]
      : []),
    ...(others > NOISY
      ? [
          `other processes used up to ${Math.round(others * 100)} % of the proxy's core during a measurement: expect noise`,
        ]
      : []),
    ...results.problems.map(
      ({ contestant, scenario, message }) => `${contestant}, ${scenario}: ${message.split('\n')[0]}`,
    ),
  ]
}
