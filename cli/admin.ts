import type { Command } from 'commander'
import { parseDuration } from '../mesh-config/duration.ts'
import { filterNames, sortNames } from '../proxy/admin/endpoints-select.ts'
import { type AdminOptions, askAdmin, EXIT, tell, waitForAdmin, withAdmin } from './ask-admin.ts'
import type { Painting } from './paint.ts'

type Given = AdminOptions & Readonly<Record<string, string | boolean | undefined>>

/** Shows the pages of the admin port at a terminal: the same text, in colour where possible. */
export function addEndpointsCommand(program: Command): void {
  const endpoints = withAdmin(program.command('endpoints'))
    .description('the endpoints of a running sidecar: weight, load, health, latency, and why one is not used')
    .argument('[service]', 'of this service only')
    .option('--zone <zone>', 'in this zone only')
    .addOption(program.createOption('--only <state>', 'in this state only').choices(filterNames))
    .addOption(
      program.createOption('--sort <column>', 'the highest first; with - before it the lowest').argParser(String),
    )
    .option('--limit <count>', 'so many, or "all"')
    .addHelpText(
      'after',
      `\n--sort takes ${sortNames.join(', ')}\n\nExamples:\n  outrigger endpoints\n  outrigger endpoints orders --only ejected\n`,
    )
    .action((service: string | undefined, options: Given) =>
      show('/endpoints', { service, ...pick(options, ['zone', 'only', 'sort', 'limit']) }, options, 'endpoints'),
    )
  addByHandCommands(endpoints)
}

/** `--admin` and `--json` may stand before `eject` as well. */
function addByHandCommands(endpoints: Command): void {
  withAdmin(endpoints.command('eject'))
    .description('take an endpoint out of use for a while, whatever it answers; exit code 3 where it would be missed')
    .argument('<service>', 'of this service')
    .argument('<address>', 'its address:port, as `outrigger endpoints` shows it')
    .option('--for <time>', 'for so long: 30s, 5m, at most 24h', '5m')
    .option('--force', 'also where nothing else of the service or a subset is left')
    .addHelpText('after', '\nExample:\n  outrigger endpoints eject orders 10.0.0.3:8080 --for 10m\n')
    .action((service: string, endpoint: string, _options: Given, command: Command) => {
      const options = command.optsWithGlobals<Given>()
      const force = options.force === true ? 'true' : undefined
      return change('/endpoints/eject', { service, endpoint, for: String(options.for), force }, options)
    })
  withAdmin(endpoints.command('admit'))
    .description('put an ejected endpoint back into use at once, with slow start')
    .argument('<service>', 'of this service')
    .argument('<address>', 'its address:port')
    .addHelpText('after', '\nExample:\n  outrigger endpoints admit orders 10.0.0.3:8080\n')
    .action((service: string, endpoint: string, _options: Given, command: Command) =>
      change('/endpoints/admit', { service, endpoint }, command.optsWithGlobals<Given>()),
    )
}

async function change(path: string, parameters: Parameters<typeof statusOf>[1], options: AdminOptions): Promise<void> {
  const status = await statusOf(path, parameters, options, 'plain', 'POST')
  if (status === 409) process.exitCode = EXIT.no
}

export function addFlightsCommand(program: Command): void {
  withAdmin(program.command('flights'))
    .description('the last requests of a running sidecar, with each attempt and why it failed; the newest last')
    .argument('[service]', 'of this service only')
    .option('--failed', 'those that failed only')
    .option('--endpoint <address>', 'that went to this endpoint only')
    .option('--id <id>', 'of this request id or trace id only')
    .option('-n, --limit <count>', 'the last so many')
    .addHelpText('after', '\nExamples:\n  outrigger flights --failed\n  outrigger flights orders -n 20\n')
    .action((service: string | undefined, options: Given) =>
      show(
        '/flights',
        {
          service,
          ...pick(options, ['endpoint', 'id', 'limit']),
          failed: options.failed === true ? 'true' : undefined,
        },
        options,
        'flights',
      ),
    )
}

export function addReadyCommand(program: Command): void {
  withAdmin(program.command('ready'))
    .description('whether a running sidecar is ready, and what it looks at: exit code 0 if it is, 3 if not')
    .option('--wait <time>', 'wait until it is, at most so long: 500ms, 30s, 2m')
    .addHelpText('after', '\nExamples:\n  outrigger ready\n  outrigger ready --wait 30s\n')
    .action(async (options: Given, command: Command) => {
      const limitMs = waitOf(options, command)
      if (limitMs !== null) await waitForAdmin(options.admin, '/ready', limitMs)
      await show('/ready', { verbose: '' }, options, 'ready')
    })
}

export function addLeaveCommand(program: Command): void {
  withAdmin(program.command('leave'))
    .description(
      'take a running sidecar out of the mesh: not ready, deregistered, no new inbound requests; outbound serves on',
    )
    .option('--wait <time>', 'wait until inbound is drained, at most so long: 500ms, 10s, 2m; exit code 3 if it is not')
    .addHelpText('after', '\nExamples:\n  outrigger leave\n  outrigger leave --wait 10s\n')
    .action(async (options: Given, command: Command) => {
      const limitMs = waitOf(options, command)
      const wait = limitMs === null ? undefined : String(limitMs / 1000)
      const status = await statusOf('/leave', { wait }, options, 'plain', 'POST')
      if (limitMs !== null && status === 202) process.exitCode = EXIT.no
    })
}

export function addDrainCommand(program: Command): void {
  withAdmin(program.command('drain'))
    .description('drain a running sidecar, as SIGTERM does: not ready, finish what runs, exit')
    .action((options: Given) => show('/drain', {}, options, 'plain', 'POST'))
}

/** Null: nothing is to be waited for. */
function waitOf({ wait }: Given, command: Command): number | null {
  if (wait === undefined) return null
  const limitMs = parseDuration(String(wait))
  return limitMs ?? command.error(`error: --wait ${wait} is no time: write 500ms, 30s or 2m`)
}

async function show(...asked: Parameters<typeof statusOf>): Promise<void> {
  await statusOf(...asked)
}

/** Prints the answer as well. Null: there was none. */
async function statusOf(
  path: string,
  parameters: Readonly<Record<string, string | undefined>>,
  { admin, json }: AdminOptions,
  painting: Painting,
  method: 'GET' | 'POST' = 'GET',
): Promise<number | null> {
  const query = new URLSearchParams({ format: json === true ? 'json' : 'text' })
  for (const [name, value] of Object.entries(parameters)) if (value !== undefined) query.set(name, value)
  const answer = await askAdmin(admin, path, query, method)
  if (answer !== null) process.exitCode = tell(answer, painting, json === true)
  return answer?.status ?? null
}

function pick(options: Given, names: readonly string[]): Record<string, string | undefined> {
  return Object.fromEntries(names.map(name => [name, options[name] === undefined ? undefined : String(options[name])]))
}
