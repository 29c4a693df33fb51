// The bench from above: what is run, in which order. `node bench/load/main.ts --help` says what can be chosen.
import { arrangeCores } from './cores.ts'
import { describeMachine } from './machine.ts'
import { HELP, type Options, readOptions } from './options.ts'
import { endProgress, note, progress } from './progress.ts'
import type { ProxyProgram } from './proxies/proxy.ts'
import { writeReports } from './report/write.ts'
import { Results } from './results.ts'
import { runAll } from './run.ts'

async function main(options: Options): Promise<void> {
  if (process.platform !== 'linux')
    throw new Error('the bench reads CPU and memory from /proc, so it runs on Linux only')
  const cores = arrangeCores()
  if (cores.warning !== null) note(`note: ${cores.warning}`)
  const results = new Results()
  progress('obtaining the proxies')
  const { proxies, versions } = await prepare(options.proxies, results)
  const machine = describeMachine()
  await runAll({ options, proxies, cores, results })
  endProgress()
  await writeReports({ options, proxies, versions, machine, cores, results })
  if (results.problems.length > 0) process.exitCode = 1
}

/** A proxy that cannot be had is left out, and said so; the others are worth measuring all the same. */
async function prepare(
  wanted: readonly ProxyProgram[],
  results: Results,
): Promise<{ proxies: ProxyProgram[]; versions: Record<string, string> }> {
  const proxies: ProxyProgram[] = []
  const versions: Record<string, string> = {}
  for (const proxy of wanted) {
    try {
      versions[proxy.name] = await proxy.prepare()
      proxies.push(proxy)
    } catch (error) {
      const { message } = error as Error
      results.problems.push({ scenario: 'prepare', contestant: proxy.name, message })
      note(`${proxy.name} is left out: ${message}`)
    }
  }
  if (proxies.length === 0) throw new Error('there is no proxy to measure')
  return { proxies, versions }
}

try {
  const options = readOptions(process.argv.slice(2))
  if (options === 'help') console.log(HELP)
  else await main(options)
} catch (error) {
  endProgress()
  console.error(`bench: ${(error as Error).message}`)
  process.exit(2)
}
