import { parseArgs } from 'node:util'
import type { ProxyProgram } from './proxies/proxy.ts'
import { PROXIES } from './proxies/table.ts'
import { SCENARIOS, type Scenario } from './scenarios.ts'

export interface Options {
  readonly quick: boolean
  /** Every scenario and every proxy, long enough: the run whose figures and picture the README shows. */
  readonly complete: boolean
  readonly rounds: number
  readonly seconds: number
  readonly warmUpSeconds: number
  readonly scenarios: readonly Scenario[]
  readonly proxies: readonly ProxyProgram[]
}

const QUICK_PROXIES = ['outrigger', 'envoy', 'haproxy', 'nginx', 'nghttpx']

const COMPLETE = { rounds: 3, seconds: 3 } as const

export const HELP = `npm run bench [-- options]: what Outrigger costs beside other proxies, on this machine

  --quick             under a minute: ${QUICK_PROXIES.join(', ')}; one round; the scenarios that matter most
  --rounds N          how often each measurement is repeated, proxies taking turns    (3; quick: 1)
  --seconds S         length of a measurement                                         (4; quick: 2)
  --proxy A,B         only these: ${PROXIES.map(proxy => proxy.name).join(', ')}
  --scenario A,B      only these (a prefix is enough):
                      ${SCENARIOS.map(scenario => scenario.name).join(', ')}
  --help

Ratios are to Envoy, so keep it in. Results: a table here; bench/results/latest.json and latest.md and docs/bench.svg
after a complete run of at least ${COMPLETE.rounds} rounds of ${COMPLETE.seconds} s, bench/results/quick.* or partial.* after any other.`

/** Throws an error whose message is meant for the user. */
export function readOptions(args: readonly string[]): Options | 'help' {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      proxy: { type: 'string', multiple: true },
      scenario: { type: 'string', multiple: true },
      help: { type: 'boolean', default: false, short: 'h' },
    },
  })
  if (values.help) return 'help'
  const { quick } = values
  const names = splitList(values.proxy)
  const prefixes = splitList(values.scenario)
  const rounds = positive('--rounds', values.rounds, quick ? 1 : 3, 100)
  const seconds = positive('--seconds', values.seconds, quick ? 2 : 4, 600)
  return {
    quick,
    complete: !quick && names === null && prefixes === null && rounds >= COMPLETE.rounds && seconds >= COMPLETE.seconds,
    rounds,
    seconds,
    warmUpSeconds: 1,
    scenarios: choose('--scenario', SCENARIOS, prefixes, (name, prefix) => name.startsWith(prefix)).filter(
      ({ quick: isQuick }) => prefixes !== null || !quick || isQuick,
    ),
    proxies: choose('--proxy', PROXIES, names ?? (quick ? QUICK_PROXIES : null), (name, wanted) => name === wanted),
  }
}

function splitList(values: readonly string[] | undefined): string[] | null {
  return values?.flatMap(value => value.split(',')).filter(value => value !== '') ?? null
}

function choose<T extends { readonly name: string }>(
  option: string,
  all: readonly T[],
  wanted: readonly string[] | null,
  matches: (name: string, wanted: string) => boolean,
): T[] {
  if (wanted === null) return [...all]
  const unknown = wanted.find(one => !all.some(({ name }) => matches(name, one)))
  if (unknown !== undefined)
    throw new Error(`${option} ${unknown}: there is no such one; there are ${all.map(({ name }) => name).join(', ')}`)
  return all.filter(({ name }) => wanted.some(one => matches(name, one)))
}

function positive(option: string, text: string | undefined, fallback: number, most: number): number {
  if (text === undefined) return fallback
  const value = Number(text)
  // whole, because wrk's durations are
  if (!Number.isInteger(value) || value < 1 || value > most)
    throw new Error(`${option} ${text}: should be a whole number from 1 to ${most}`)
  return value
}
