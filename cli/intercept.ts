import { type Command, Option } from 'commander'
import { backendNames } from '../intercept/backends.ts'
import { cannotStart, down, dryRun, type How, show, up } from '../intercept/main.ts'
import type { Options } from '../intercept/options.ts'
import { makePlan, type Plan } from '../intercept/plan.ts'
import { readText } from '../intercept/tools.ts'
import { type InterceptOption, interceptOptions } from '../mesh-config/intercept-options.ts'
import { type InterceptFile, loadInterceptFile } from '../mesh-config/load-intercept.ts'
import { jsonText, printable } from '../proxy/core/printable.ts'
import { EXIT } from './ask-admin.ts'
import { colours } from './colours.ts'
import { inForceLines, wantedLines } from './intercept-text.ts'

const targetOptions = [
  ['outbound-port', 'redirect outbound connections to this port, or off (default: of the file, else 15001)'],
  ['inbound-port', 'redirect inbound connections to this port, or off (default: of the file, else off)'],
  ['dns-port', 'redirect DNS queries to this port, or off (default: of the file, else off)'],
] as const

interface Given extends Record<string, unknown> {
  readonly config?: readonly string[]
  readonly backend?: How['backend']
  readonly ipv4Only?: true
  readonly force?: true
  readonly dryRun?: true
  readonly json?: true
}

export function addInterceptCommand(program: Command): void {
  const intercept = program
    .command('intercept')
    .description('redirect connections of this host or pod to the sidecar: set, remove and show the rules')
  withChoice(intercept.command('up').description('set the rules, in one step; again with other options: replace them'))
    .option('--dry-run', 'print the rules and set nothing; needs no privilege')
    .option('--force', 'also beside the rules of another mesh')
    .addHelpText(
      'after',
      `
Lists are separated by commas; none is an empty one. An option replaces the setting of the file.

Examples:
  outrigger intercept up -c sidecar.yaml
  outrigger intercept up --inbound-port 15006 --only-inbound-ports 8080,9090
  outrigger intercept up --dns-port 15053 --skip-outbound-ports 5432 --dry-run

Exit codes: 0 they are in force, 1 they could not be set, and nothing changed (by iptables: in the family named), 2 the command line or the file is wrong
`,
    )
    .action((given: Given) => runUp(given))
  intercept
    .command('down')
    .description('remove all rules that "up" has set, and nothing else')
    .addOption(backendOption())
    .addHelpText('after', '\nExit codes: 0 there are none any more, 1 they could not be removed\n')
    .action((given: Given) => runDown(given))
  withChoice(
    intercept
      .command('show')
      .description(
        'show what is in force, with counters; with a file or options, also whether "up" would set the same',
      ),
  )
    .option('--json', 'as JSON')
    .addHelpText(
      'after',
      '\nExit codes: 0 in force (as asked), 1 it cannot be read, 3 nothing is in force, or something else\n',
    )
    .action((given: Given) => runShow(given))
}

/** What `up` and `show` are told: what is wanted. */
function withChoice(command: Command): Command {
  command.option(
    '-c, --config <file>',
    'a sidecar file: ports and settings are taken from it; may be given several times',
    (file: string, before: string[] | undefined) => [...(before ?? []), file],
  )
  for (const [name, help] of targetOptions) command.option(`--${name} <port>`, help)
  for (const option of interceptOptions) command.option(`--${option.name} <${valueName(option)}>`, option.help)
  return command
    .addOption(backendOption())
    .option('--ipv4-only', 'set no rules for IPv6, whose connections then go past the sidecar')
}

function valueName({ kind }: InterceptOption): string {
  return kind === 'servers' ? 'addresses' : kind
}

function backendOption(): Option {
  return new Option('--backend <name>', 'the tool to use (default: the first that works)').choices([...backendNames])
}

function howOf({ backend, ipv4Only, force }: Given): How {
  return { backend: backend ?? null, ipv4Only: ipv4Only === true, force: force === true }
}

/** By the names that are written, without what is not an option of the plan. */
function optionsOf(given: Given): Options {
  const names = [...targetOptions.map(([name]) => name), ...interceptOptions.map(({ name }) => name)]
  const value = (name: string) => given[name.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase())]
  return Object.fromEntries(names.map(name => [name, value(name) as string | undefined]))
}

async function planOf(given: Given): Promise<{ plan: Plan; notes: readonly string[] } | null> {
  let file: InterceptFile | null = null
  if (given.config !== undefined) {
    const loaded = await loadInterceptFile(given.config, process.env)
    if (!loaded.ok) return refuse(loaded.errors)
    file = loaded.file
  }
  const planned = makePlan(optionsOf(given), file, readText('/etc/resolv.conf'))
  if (!planned.ok) return refuse(planned.errors)
  return { plan: planned.plan, notes: planned.notes }
}

function refuse(errors: readonly string[]): null {
  say(errors, 'red', 'error: ')
  process.exitCode = EXIT.usage
  return null
}

function say(lines: readonly string[], colour: 'red' | 'yellow' | 'dim', before = ''): void {
  const paint = colours(process.stderr, process.env)[colour]
  for (const line of lines) process.stderr.write(`${paint(before)}${printable(line)}\n`)
}

function print(lines: readonly string[]): void {
  process.stdout.write(`${lines.join('\n')}\n`)
}

function look() {
  const { stdout, env } = process
  return { width: stdout.isTTY ? stdout.columns : 120, colours: colours(stdout, env) }
}

async function runUp(given: Given): Promise<void> {
  const refusal = given.dryRun === true ? null : cannotStart()
  if (refusal !== null) return fail([refusal])
  const planned = await planOf(given)
  if (planned === null) return
  const how = howOf(given)
  if (given.dryRun === true) {
    const { scripts } = await dryRun(planned.plan, how)
    say(planned.notes, 'yellow', 'note: ')
    print(scripts.flatMap(({ command, text }) => [`# ${command}`, text.trimEnd()]))
    return
  }
  const result = await up(planned.plan, how)
  if (!result.ok) return fail(result.errors)
  const { green } = look().colours
  print(
    result.changed
      ? [green(`set by ${result.backend}`), '', ...wantedLines(result.sets, look())]
      : [green(`in force already, by ${result.backend}: nothing changed`)],
  )
  say([...planned.notes, ...result.notes], 'yellow', 'note: ')
  say(result.warnings, 'yellow', 'warning: ')
}

async function runDown(given: Given): Promise<void> {
  const result = await down(howOf(given))
  if (!result.ok) return fail(result.errors)
  print([result.removed.length === 0 ? 'there are no rules of outrigger' : `removed from ${result.removed.join(', ')}`])
}

async function runShow(given: Given): Promise<void> {
  const refusal = cannotStart()
  if (refusal !== null) return fail([refusal])
  const asked = given.config !== undefined || Object.values(optionsOf(given)).some(value => value !== undefined)
  const planned = asked ? await planOf(given) : { plan: null, notes: [] }
  if (planned === null) return
  const result = await show(planned.plan, howOf(given))
  if (!result.ok) return fail(result.errors)
  const isGood = result.inForce.length > 0 && (result.differences ?? []).length === 0
  process.exitCode = isGood ? EXIT.done : EXIT.no
  if (given.json === true) {
    const { ok: _, ...shown } = result
    process.stdout.write(`${jsonText(shown, 2)}\n`)
    return
  }
  print(inForceLines(result, look()))
  say([...planned.notes, ...result.notes], 'yellow', 'note: ')
  say(result.warnings, 'yellow', 'warning: ')
}

function fail(errors: readonly string[]): void {
  say(errors.slice(0, 1), 'red', 'error: ')
  say(errors.slice(1), 'red')
  process.exitCode = EXIT.failed
}
