import type { Command } from 'commander'
import type { TopReply } from '../agent/stats/top.ts'
import { jsonText } from '../proxy/core/printable.ts'
import { type AgentOptions, followAgent, withAgent } from './ask-agent.ts'
import { colours } from './colours.ts'
import { openScreen } from './screen.ts'
import { servicesOf, sortKeys, type TopSort, topLines } from './top-text.ts'

interface Options extends AgentOptions {
  readonly local?: true
  readonly once?: true
  readonly sort: TopSort
  readonly seconds: string
}

const WIDTH = 120

export function addTopCommand(program: Command): void {
  withAgent(program.command('top'))
    .description('what the services of the mesh do now: rate, success, latency, retries, and each endpoint')
    .argument('[service]', 'of this service only')
    .option('--once', 'once, and end')
    .option('--local', 'of this host only')
    .addOption(
      program
        .createOption('--sort <column>', 'which services come first')
        .choices(sortKeys)
        .default('rate' as const),
    )
    .option('--seconds <count>', 'over how many seconds, at most 60', '10')
    .addHelpText(
      'after',
      '\nKeys: r, e, p, n sort by rate, errors, p99, name; q ends it\n\nExamples:\n  outrigger top\n  outrigger top orders --sort p99\n  outrigger top --once --json\n',
    )
    .action(async (service: string | undefined, options: Options, command: Command) => {
      const seconds = Number(options.seconds)
      if (!Number.isInteger(seconds) || seconds < 1 || seconds > 60)
        return command.error('error: --seconds is a number from 1 to 60')
      await top(service ?? null, seconds, options)
    })
}

async function top(service: string | null, seconds: number, options: Options): Promise<void> {
  const end = new AbortController()
  const { stdout } = process
  const paint = colours(stdout, process.env)
  const isLive = stdout.isTTY && options.once !== true && options.json !== true
  let { sort } = options
  let last: TopReply | null = null
  const byKey: Readonly<Record<string, TopSort>> = { r: 'rate', e: 'errors', p: 'p99', n: 'name' }
  const screen = !isLive
    ? null
    : openScreen(
        stdout,
        process.stdin,
        key => {
          if (key === 'q' || key === '\x03' || key === '\x04') end.abort()
          sort = byKey[key] ?? sort
          draw()
        },
        draw,
      )

  function draw(): void {
    if (screen === null || last === null || end.signal.aborted) return
    const { columns, rows } = screen.size()
    screen.draw(topLines(last, { service, sort, width: columns - 1, rows, colours: paint }))
  }

  if (screen === null) process.once('SIGINT', () => end.abort())
  const request = { local: options.local === true, seconds }
  await followAgent<TopReply>(
    'Mesh',
    'Top',
    request,
    options,
    reply => {
      last = reply
      if (screen !== null) draw()
      else if (options.json === true)
        stdout.write(`${jsonText({ ...servicesOf(reply, service), troubles: reply.troubles }, 2)}\n`)
      else {
        const width = stdout.isTTY ? stdout.columns : WIDTH
        const lines = topLines(reply, { service, sort, width, rows: null, colours: paint })
        stdout.write(`${lines.join('\n')}\n`)
      }
      return options.once === true
    },
    end.signal,
  )
  screen?.close()
}
