import type { Command } from 'commander'
import type { AgentStatus } from '../agent/stats/status.ts'
import { jsonText } from '../proxy/core/printable.ts'
import { EXIT } from './ask-admin.ts'
import { type AgentOptions, askAgent, withAgent } from './ask-agent.ts'
import { colours } from './colours.ts'
import { statusLines, troublesOf } from './status-text.ts'

interface Options extends AgentOptions {
  readonly local?: true
  readonly all?: true
}

interface StatusReply {
  readonly agents: readonly AgentStatus[]
}

/** Where nobody looks. */
const WIDTH = 120

export function addStatusCommand(program: Command): void {
  withAgent(program.command('status'))
    .description('the mesh: each agent and proxy, which version of which policy it has, who refused one and why')
    .option('--local', 'of this host only')
    .option('--all', 'every policy of every proxy, also those that are as they should be')
    .addHelpText(
      'after',
      '\nExit codes: 0 all is as it should be, 1 no agent answers, 3 a policy is refused or stale, a source or an agent in trouble\n\nExamples:\n  outrigger status\n  outrigger status --json | jq .summary\n',
    )
    .action(async (options: Options) => status(options))
}

async function status(options: Options): Promise<void> {
  const local = options.local === true
  const reply = await askAgent<StatusReply>('Mesh', 'Status', { local }, options)
  if (reply === null) return
  const { agents } = reply
  const troubles = troublesOf(agents)
  if (options.json === true) process.stdout.write(`${jsonText({ summary: troubles, agents }, 2)}\n`)
  else {
    const { stdout } = process
    const width = stdout.isTTY ? stdout.columns : WIDTH
    const lines = statusLines(agents, { width, all: options.all === true, colours: colours(stdout, process.env) })
    stdout.write(`${lines.join('\n')}\n`)
  }
  process.exitCode = troubles.isGood ? EXIT.done : EXIT.no
}
