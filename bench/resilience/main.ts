// node bench/resilience/main.ts: real instances with faults behind Outrigger and behind Envoy, with the same policy and
// the same load. `--proxy outrigger,envoy`, `--fault hang,reset`, `--instances 2` choose; `--json`
// for programs. Run as root: it makes a network
// namespace of its own, in which packets can be lost.
import { spawnSync } from 'node:child_process'
import { parseArgs } from 'node:util'
import { tool } from '../../test/peers/find.ts'
import type { Start } from './contestant.ts'
import { envoy, envoyAsItComes } from './envoy.ts'
import { outrigger } from './outrigger.ts'
import { SCENARIOS } from './scenarios.ts'
import { markdown } from './table.ts'
import { type Outcome, trial } from './trial.ts'

const CONTESTANTS: Readonly<Record<string, Start>> = { outrigger, envoy, 'envoy-default': envoyAsItComes }

if (process.env.OUTRIGGER_OWN_NETWORK === undefined) {
  const again = [process.execPath, ...process.argv.slice(1)].map(word => `'${word}'`).join(' ')
  const script = `${tool('ip')} link set lo up && exec ${again}`
  const { status } = spawnSync(tool('unshare'), ['--net', 'sh', '-c', script], {
    stdio: 'inherit',
    env: { ...process.env, OUTRIGGER_OWN_NETWORK: '1', PATH: `${process.env.PATH}:/usr/sbin:/sbin` },
  })
  process.exit(status ?? 1)
}

const { values } = parseArgs({
  options: {
    proxy: { type: 'string', default: Object.keys(CONTESTANTS).join(',') },
    fault: { type: 'string' },
    instances: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
})
const isAsked = (list: string | undefined, word: string) => list === undefined || list.split(',').includes(word)
const chosen = Object.entries(CONTESTANTS).filter(([name]) => isAsked(values.proxy, name))
const rows: string[][] = []
const outcomes: Outcome[] = []
for (const scenario of SCENARIOS) {
  if (!isAsked(values.fault, scenario.fault) || !isAsked(values.instances, String(scenario.instances))) continue
  const row = [`one of ${scenario.instances}: ${scenario.fault}`]
  for (const [name, start] of chosen) {
    const outcome = await trial(scenario, start)
    outcomes.push(outcome)
    row.push(cell(outcome))
    console.error(`${row[0]} | ${name} | ${row.at(-1)}`)
  }
  rows.push(row)
}
const head = ['errors, of which after detection; detected after; p99; offered / asked', ...chosen.map(([name]) => name)]
console.log(values.json ? JSON.stringify(outcomes) : markdown(head, rows))
process.exit()

function cell({ requests, errors, errorsAfterDetection, detectedAfterMs, p99Ms, amplification }: Outcome): string {
  const detected = detectedAfterMs === null ? 'never' : `${detectedAfterMs} ms`
  const after = detectedAfterMs === null || errors === 0 ? '' : `, ${errorsAfterDetection} after`
  return `${errors} of ${requests}${after}; ${detected}; ${Math.round(p99Ms)} ms; ${amplification.toFixed(2)}`
}
