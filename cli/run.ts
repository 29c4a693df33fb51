import { isatty } from 'node:tty'
import type { Command } from 'commander'
import { parseDuration } from '../mesh-config/duration.ts'
import { sidecarUser } from '../mesh-config/usual-ports.ts'
import { isLogLevel } from '../proxy/core/log.ts'
import { systemClock } from '../proxy/system/clock.ts'
import { watchLauncher } from '../proxy/system/launcher.ts'
import { releaseStartupPages } from '../proxy/system/release-pages.ts'
import { writeTo } from '../proxy/system/stdio.ts'
import { ownLog } from '../proxy/telemetry/log.ts'
import { runBoth } from '../run/main.ts'
import { findUser, type User, userFiles } from '../run/users.ts'

interface Options {
  readonly config: readonly string[]
  readonly logLevel?: string
  readonly user?: string
  readonly group?: string
  readonly sidecarUser: string
  readonly waitReady: string
  readonly stopTimeout: string
}

export function addRunCommand(program: Command, _version: string): void {
  program
    .command('run')
    .description('run an application with its sidecar: started, stopped and watched as one')
    .argument('<command...>', 'the application and its arguments, after --')
    .requiredOption('-c, --config <file>', 'a config file of the sidecar; may be given again', collect, [])
    .option('--user <user>', 'run the application as this user, and the sidecar as another one (as root only)')
    .option('--group <group>', 'with --user: the group, where it is not that of the user')
    .option('--sidecar-user <user>', 'with --user: the user of the sidecar', String(sidecarUser))
    .option('--wait-ready <time>', 'how long to wait for the sidecar before giving up', '30s')
    .option('--stop-timeout <time>', 'how long the application may take after SIGTERM before SIGKILL', '10s')
    .option('--log-level <level>', 'of the sidecar and of this command (default: OUTRIGGER_LOG_LEVEL, else info)')
    .addHelpText(
      'after',
      `
The sidecar is started first, and the application once it is ready. When the application ends, its registration ends
with it, and this command exits with its code. A sidecar that crashes is started again beside it.

Signals:
  SIGTERM           the sidecar deregisters, waits (drain.delay) and drains inbound; then the application gets SIGTERM,
                    and outbound serves until it has ended. A second one skips the waiting, a third one kills.
  all others        go to the application

Exit codes:
  of the application; 128 + n where signal n ended it
  1, 2     the sidecar could not start, or its config file or the command line is wrong
  126, 127 the command cannot be run, or there is none: nothing is started
  143      SIGTERM before the application was started

Examples:
  outrigger run -c sidecar.yaml -- node server.js
  outrigger run -c sidecar.yaml --stop-timeout 60s -- ./migrate --all
  outrigger run -c sidecar.yaml --user app -- ./server`,
    )
    .action(async (command: [string, ...string[]], options: Options, self: Command) => {
      const level = (options.logLevel ?? process.env.OUTRIGGER_LOG_LEVEL ?? 'info').toLowerCase()
      if (!isLogLevel(level)) return self.error(`error: "${level}" is not a log level`)
      const pretty = isatty(2)
      const log = ownLog(
        {
          level,
          pretty,
          colors: pretty && process.env.NO_COLOR === undefined,
          write: line => writeTo(2, line),
        },
        systemClock,
      )
      const users = usersOf(options)
      if (typeof users === 'string') return self.error(`error: ${users}`)
      const time = (option: string, text: string) =>
        parseDuration(text) ??
        self.error(`error: ${option} ${text} is no time: write a number with a unit, such as 30s`)
      const code = await runBoth({
        command,
        proxy: [
          process.execPath,
          process.argv[1]!,
          'proxy',
          '--log-level',
          level,
          ...options.config.flatMap(file => ['-c', file]),
        ],
        env: process.env,
        ...users,
        waitReadyMs: time('--wait-ready', options.waitReady),
        stopTimeoutMs: time('--stop-timeout', options.stopTimeout),
        log,
        settled: releaseStartupPages,
        ending: stop => void watchLauncher(() => stop('the launcher has ended')),
      })
      process.exit(code)
    })
}

function usersOf({ user, group, sidecarUser }: Options): { user: User | null; sidecarUser: User | null } | string {
  if (user === undefined) return group === undefined ? { user: null, sidecarUser: null } : '--group needs --user'
  if (process.getuid?.() !== 0) return 'only root can run the application as another user: leave out --user'
  const files = userFiles()
  const found = findUser(user, group ?? '', files)
  if (typeof found === 'string') return `--user: ${found}`
  // The usual user of a sidecar needs no account.
  const own = findUser(sidecarUser, /^\d+$/.test(sidecarUser) ? sidecarUser : '', files)
  if (typeof own === 'string') return `--sidecar-user: ${own}`
  if (own.uid === found.uid)
    return 'the application and its sidecar would be the same user, and redirect rules could not tell them apart'
  return { user: found, sidecarUser: own }
}

function collect(file: string, before: readonly string[]): readonly string[] {
  return [...before, file]
}
