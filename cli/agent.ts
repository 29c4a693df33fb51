import { isatty } from 'node:tty'
import type { Command } from 'commander'
import { isLogLevel, logLevels } from '../agent/log.ts'

interface Options {
  readonly config?: string
  readonly logLevel?: string
  readonly check?: true
}

export function addAgentCommand(program: Command, version: string): void {
  const command = program.command('agent')
  const level = command.createOption(
    '--log-level <level>',
    `${logLevels.join(', ')} (default: OUTRIGGER_LOG_LEVEL, else info)`,
  )
  level.argChoices = [...logLevels]
  command
    .description('run the agent of this host: policy for its proxies, traces, statistics')
    .option('-c, --config <file>', 'the agent file; without one everything is as by default')
    .addOption(level)
    .option('--check', 'check the agent file without starting anything: exit code 0 if it is good, 2 if not')
    .action(async ({ config, logLevel, check }: Options) => {
      const named = (logLevel ?? process.env.OUTRIGGER_LOG_LEVEL ?? 'info').toLowerCase()
      if (!isLogLevel(named))
        return command.error(`error: "${named}" is not a log level: use one of ${logLevels.join(', ')}`)
      const { runAgent } = await import('../agent/main.ts')
      const pretty = isatty(2)
      const colors = pretty && process.env.NO_COLOR === undefined
      const file = config ?? null
      await runAgent({ version, file, logLevel: named, pretty, colors, check: check === true })
    })
}
