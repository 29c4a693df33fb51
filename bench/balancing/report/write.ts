import { mkdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import pc from 'picocolors'
import { renderForTerminal } from '../../load/report/terminal.ts'
import type { Options } from '../options.ts'
import type { ScenarioResults } from '../results.ts'
import { renderMarkdown } from './markdown.ts'
import { renderOverview } from './overview.ts'
import { renderPicture } from './picture.ts'
import { tableOf } from './tables.ts'

const ROOT = resolve(import.meta.dirname, '../../..')
const RESULTS = 'bench/balancing/results'
const PICTURES = 'docs/balancing'

/** Tables on stdout, files in bench/balancing/results/, and after a complete run the pictures. */
export function writeReports(all: readonly ScenarioResults[], options: Options): void {
  for (const results of all) {
    console.log(renderForTerminal(tableOf(results)))
    console.log(pc.dim(`  ${results.scenario.what}\n`))
  }
  const name = options.complete ? 'latest' : options.quick ? 'quick' : 'partial'
  const how = howMade(all, options)
  write(
    `${RESULTS}/${name}.json`,
    `${JSON.stringify({ seed: options.seed, how, scenarios: all.map(plain) }, null, 1)}\n`,
  )
  write(`${RESULTS}/${name}.md`, renderMarkdown(all, how))
  const written = [`${RESULTS}/${name}.json`, `${RESULTS}/${name}.md`]
  if (options.complete) {
    mkdirSync(join(ROOT, PICTURES), { recursive: true })
    write(`${PICTURES}/overview.svg`, renderOverview(all, how))
    for (const [group, members] of Map.groupBy(all, ({ scenario }) => scenario.group))
      write(`${PICTURES}/${group}.svg`, renderPicture(members))
    written.push(`${PICTURES}/*.svg`)
  }
  console.log(pc.dim(`${how}\nwritten: ${written.join(', ')}`))
}

function write(file: string, text: string): void {
  writeFileSync(join(ROOT, file), text)
}

/** Of chance and the code alone: the same run gives the same file. */
function howMade(all: readonly ScenarioResults[], { seed }: Options): string {
  const requests = all.reduce(
    (sum, { results }) => sum + results.reduce((part, { figures }) => part + figures.requests, 0),
    0,
  )
  return `Simulated with the balancers of proxy/ on a virtual clock: ${(requests / 1e6).toFixed(1)} million requests, seed ${seed}.`
}

function plain({ scenario, results }: ScenarioResults): object {
  const { name, title, what, bad, sidecars, timeline } = scenario
  return {
    name,
    title,
    what,
    sidecars,
    bad,
    results: Object.fromEntries(
      results.map(result => [
        result.contender.name,
        timeline === null
          ? round(result.figures)
          : { ...round(result.figures), [timeline]: result.timeline.map(digits) },
      ]),
    ),
  }
}

function round(figures: object): object {
  return Object.fromEntries(Object.entries(figures).map(([name, value]) => [name, digits(value)]))
}

/** Five that count. */
function digits(value: number | null): number | null {
  return value === null ? null : Number(value.toPrecision(5))
}
