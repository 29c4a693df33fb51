import { fstatSync } from 'node:fs'
import type { Command, Option } from 'commander'
import { isLogLevel, type LogLevel, logLevels } from '../proxy/core/log.ts'
import { runProxy } from '../proxy/main.ts'

interface Options {
  readonly config?: readonly string[]
  readonly logLevel?: string
}

export function addProxyCommand(program: Command, version: string): void {
  program
    .command('proxy')
    .description('run the sidecar proxy')
    .argument('[files...]', 'the same as -c')
    .option('-c, --config <files...>', 'config files, later ones over earlier ones')
    .addOption(logLevelOption(program))
    .addHelpText(
      'after',
      `
Prints a line for each listener once it is ready. The files are watched: a change is taken up when it is valid, and told
and ignored when it is not. The admin port (default 127.0.0.1:15000) lists its pages at /.

Signals:
  SIGTERM, SIGINT   not ready, finish what runs, exit 0; a second one exits at once (143, 130)
  SIGHUP            read the config files again, open the access log anew
  SIGUSR1           open the access log anew, after a log rotation
  SIGUSR2           start the program that is installed now, which takes over: see outrigger upgrade --help

Exit codes:
  0   drained     1   could not start (a port is taken)     2   a config file or the command line is wrong

Examples:
  outrigger proxy -c sidecar.yaml
  outrigger proxy -c base.yaml -c this-host.yaml --log-level debug
  kill -HUP <pid>`,
    )
    .action(async (files: readonly string[], { config = [], logLevel }: Options, command: Command) => {
      const level = levelOf(logLevel ?? process.env.OUTRIGGER_LOG_LEVEL ?? 'info')
      if (level === null)
        command.error(
          `error: "${logLevel ?? process.env.OUTRIGGER_LOG_LEVEL}" is not a log level: use one of ${logLevels.join(', ')}`,
        )
      if ([...config, ...files].includes('-'))
        command.error(
          'error: a proxy reads its files again when they change, and standard input cannot be read twice: save it to a file and name that',
        )
      const pretty = isTerminal(2)
      await runProxy({
        version,
        files: [...config, ...files],
        logLevel: level,
        pretty,
        colors: pretty && process.env.NO_COLOR === undefined,
      })
    })
}

/** The values serve completion; the action decides which count, because it knows the environment too. */
function logLevelOption(command: Command): Option {
  const option = command.createOption(
    '--log-level <level>',
    `${logLevels.join(', ')} (default: OUTRIGGER_LOG_LEVEL, else info)`,
  )
  option.argChoices = [...logLevels]
  return option
}

function levelOf(text: string): LogLevel | null {
  const level = text.toLowerCase()
  return isLogLevel(level) ? level : null
}

/** node:tty is loaded only where there may be a terminal. */
function isTerminal(fd: number): boolean {
  return fstatSync(fd).isCharacterDevice() && process.getBuiltinModule('node:tty').isatty(fd)
}
