import { resolve } from 'node:path'
import type { Command } from 'commander'
import { colours } from './colours.ts'

interface Options {
  readonly config: string
  readonly once?: true
  readonly run?: string
  readonly verbose?: true
}

export function addDevCommand(program: Command, _version: string): void {
  program
    .command('dev')
    .description('run the services of a file on this machine, each with a sidecar, with an agent and traces')
    .option('-c, --config <file>', 'the file with the services', 'dev.yaml')
    .option('--run <command>', 'when everything is ready, run this command, end everything, exit with its code')
    .option('--once', 'end everything when it is ready: exit code 0 if it got ready, 1 if not')
    .option('--verbose', 'show all that sidecars and the agent say, not only warnings')
    .addHelpText(
      'after',
      `
dev.yaml:
  services:
    orders: { command: node orders.js, instances: 2 }
    web:    { command: node web.js, depends: [orders], publish: 8080 }

A service listens on 127.0.0.1:$PORT and calls another one at $ORDERS_URL. The file is watched. Ctrl-C ends everything,
a second one at once. Exit codes: 0 ended, 1 it could not start, 2 the file is wrong.`,
    )
    .action(async ({ config, once, run, verbose }: Options, command: Command) => {
      if (once && run !== undefined) return command.error('error: --once runs nothing: leave it out, or --run')
      const { runDev } = await import('../dev/main.ts')
      await runDev({
        file: resolve(config),
        outrigger: [process.execPath, process.argv[1]!],
        env: process.env,
        stdout: process.stdout,
        stderr: process.stderr,
        colours: colours(process.stdout, process.env),
        verbose: verbose === true,
        run: once ? '' : (run ?? null),
      })
    })
}
