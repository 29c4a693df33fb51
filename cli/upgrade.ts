import type { Command } from 'commander'
import { askAdmin, EXIT, tell } from './ask-admin.ts'
import { type Seen, upgradeByPid } from './upgrade-by-pid.ts'

interface Options {
  readonly admin: string
  readonly pid?: string
  readonly timeout: string
  readonly json?: true
}

export function addUpgradeCommand(program: Command): void {
  program
    .command('upgrade')
    .description('start the installed version of a running sidecar, which takes over without losing a request')
    .option('-a, --admin <address>', 'the admin port of the sidecar', process.env.OUTRIGGER_ADMIN ?? '127.0.0.1:15000')
    .option('--pid <pid>', 'in the place of --admin: the process, where it has no admin port')
    .option('--timeout <seconds>', 'the new process must be ready within this time, else it is ended', '60')
    .option('--json', 'JSON, for programs')
    .addHelpText(
      'after',
      `
The running sidecar starts its own command line anew, in the same folder, and hands over its listening sockets and what
it has learnt. When the new process serves, the old one finishes what it had begun (drain.timeout) and ends. Where the
new one does not become ready, it is ended, the reason is printed, and the old one goes on as if nothing had happened.

Exit codes: 0 the new process serves, 1 it does not, or no sidecar answers there, 2 the command line is wrong

Examples:
  npm install --global outrigger@latest && outrigger upgrade
  outrigger upgrade --admin 127.0.0.1:15000 --timeout 20
  outrigger upgrade --pid "$(systemctl show -P MainPID outrigger)"
`,
    )
    .action(async ({ admin, pid, timeout, json }: Options, command: Command) => {
      const seconds = Number(timeout)
      if (!(seconds > 0 && seconds <= 3600))
        command.error(`error: --timeout ${timeout}: write a number of seconds up to 3600`)
      if (pid !== undefined) {
        const number = Number(pid)
        if (!Number.isInteger(number) || number < 2) command.error(`error: --pid ${pid} is no process id`)
        return report(await upgradeByPid(number, seconds * 1000), json === true)
      }
      const query = new URLSearchParams({ format: json === true ? 'json' : 'text', timeout: String(seconds) })
      const answer = await askAdmin(admin, '/upgrade', query, 'POST')
      if (answer !== null) process.exitCode = tell(answer, 'plain', json === true)
    })
}

function report(seen: Seen, isJson: boolean): void {
  const output = seen.ok ? process.stdout : process.stderr
  output.write(isJson ? `${JSON.stringify(seen)}\n` : `${seen.text}\n`)
  process.exitCode = seen.ok ? EXIT.done : EXIT.failed
}
