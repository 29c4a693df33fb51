import { parseArgs } from 'node:util'
import { CONTENDERS, type Contender } from './contenders.ts'
import type { Scenario } from './scenario.ts'
import { SCENARIOS } from './scenarios.ts'

export interface Options {
  readonly seed: number
  readonly quick: boolean
  /** What docs/balancing/ shows: everything, at full length, with the usual seed. */
  readonly complete: boolean
  readonly scenarios: readonly Scenario[]
  readonly contenders: readonly Contender[]
}

const SEED = 1

export const HELP = `node bench/balancing/main.ts [options]: every balancer in every kind of trouble, on a virtual clock

  --quick             a third of the time
  --seed N            another course of chance                    (${SEED})
  --scenario A,B      only these (a prefix is enough):
                      ${SCENARIOS.map(({ name }) => name).join(', ')}
  --balancer A,B      only these (a prefix is enough):
                      ${CONTENDERS.filter(({ groups }) => groups === null)
                        .map(({ name }) => name)
                        .join(', ')}
  --help

The same seed gives the same figures. Results: tables here; after a complete run bench/balancing/results/latest.json and
latest.md and the pictures in docs/balancing/, after any other bench/balancing/results/quick.* or partial.*`

/** Throws an error whose message is meant for the user. */
export function readOptions(args: readonly string[]): Options | 'help' {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: 'boolean', default: false },
      seed: { type: 'string', default: String(SEED) },
      scenario: { type: 'string', multiple: true },
      balancer: { type: 'string', multiple: true },
      help: { type: 'boolean', default: false, short: 'h' },
    },
  })
  if (values.help) return 'help'
  const { quick } = values
  const seed = Number(values.seed)
  if (!Number.isInteger(seed) || seed < 0) throw new Error(`--seed ${values.seed}: should be a whole number`)
  const scenarios = choose('--scenario', SCENARIOS, values.scenario)
  const contenders = choose('--balancer', CONTENDERS, values.balancer)
  return {
    seed,
    quick,
    complete:
      !quick && seed === SEED && scenarios.length === SCENARIOS.length && contenders.length === CONTENDERS.length,
    scenarios: quick ? scenarios.map(shortened) : scenarios,
    contenders,
  }
}

function shortened(scenario: Scenario): Scenario {
  return { ...scenario, measuredMs: scenario.measuredMs / 3 }
}

function choose<T extends { readonly name: string }>(
  option: string,
  all: readonly T[],
  values: readonly string[] | undefined,
): readonly T[] {
  const wanted = values?.flatMap(value => value.split(',')).filter(value => value !== '')
  if (wanted === undefined) return all
  const unknown = wanted.find(prefix => !all.some(({ name }) => name.startsWith(prefix)))
  if (unknown !== undefined)
    throw new Error(`${option} ${unknown}: there is no such one; there are ${all.map(({ name }) => name).join(', ')}`)
  return all.filter(({ name }) => wanted.some(prefix => name.startsWith(prefix)))
}
