// The balancing simulator from above. `node bench/balancing/main.ts --help` says what can be chosen.
import { endProgress, progress } from '../load/progress.ts'
import { contendersOf } from './contenders.ts'
import { simulate } from './engine/simulate.ts'
import { HELP, type Options, readOptions } from './options.ts'
import { writeReports } from './report/write.ts'
import { resultOf, type ScenarioResults } from './results.ts'

function run({ scenarios, contenders, seed }: Options): ScenarioResults[] {
  return scenarios.map(scenario => ({
    scenario,
    results: contendersOf(scenario, contenders).map(contender => {
      progress(`${scenario.title}: ${contender.name}`)
      return resultOf(scenario, contender, simulate(scenario, contender, seed))
    }),
  }))
}

try {
  const options = readOptions(process.argv.slice(2))
  if (options === 'help') console.log(HELP)
  else {
    const all = run(options).filter(({ results }) => results.length !== 0)
    endProgress()
    writeReports(all, options)
  }
} catch (error) {
  endProgress()
  console.error(`bench: ${(error as Error).message}`)
  process.exit(2)
}
