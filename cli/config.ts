import type { Argument, Command } from 'commander'
import { formatAddress } from '../mesh-config/address.ts'
import { formatDuration } from '../mesh-config/duration.ts'
import { type LoadedSnapshot, loadSnapshot } from '../mesh-config/load-snapshot.ts'
import type {
  DiscoverySpec,
  KubernetesSpec,
  ListenerSpec,
  RegisterSpec,
  ServiceSpec,
  Snapshot,
} from '../mesh-config/snapshot.ts'
import { redirectedText } from '../proxy/control/ready-lines.ts'
import { jsonText, printable } from '../proxy/core/printable.ts'
import { colours } from './colours.ts'
import type { ConfigSurroundings } from './config-surroundings.ts'

export type { ConfigSurroundings }

interface FileOptions {
  readonly config?: readonly string[]
}

/**
 * `outrigger config check | lint | effective | schema`. Exit code 0: good; 2: the files are not; with --strict also when there
 * are warnings.
 */
export function addConfigCommand(program: Command, surroundings: ConfigSurroundings = process): void {
  const config = program
    .command('config')
    .description('check config files, see every value in force and where it came from, get the JSON Schema')
  withFiles(config.command('check'))
    .description('check files without starting anything: exit code 0 if they are good, 2 if not')
    .option('--strict', 'take warnings for errors')
    .action((files: string[], options: FileOptions & { strict?: true }) =>
      check([...(options.config ?? []), ...files], options.strict === true, surroundings),
    )
  withFiles(config.command('lint'))
    .description(
      'print each warning with its fix as a patch: exit code 0 if there is none, 1 if there are, 2 for errors',
    )
    .option('--fix', 'apply the patches that have no alternative, and check the result')
    .action(async (files: string[], options: FileOptions & { fix?: true }) =>
      (await import('./lint.ts')).lintFiles([...(options.config ?? []), ...files], options.fix === true, surroundings),
    )
  withFiles(config.command('effective'))
    .description('print every value in force, defaults too, each with where it came from or why it is the default')
    .option('--json', 'as JSON: { files, config, sources }')
    .action((files: string[], options: FileOptions & { json?: true }) =>
      printEffective([...(options.config ?? []), ...files], options.json === true, surroundings),
    )
  config
    .command('schema')
    .description('print the JSON Schema of a document, for editors: sidecar (the default), service or dev')
    .addArgument(documentArgument(config))
    .action((kind: string) => printSchema(kind, surroundings))
    .addHelpText(
      'after',
      '\nFor completion in an editor with a YAML language server, begin the file with:\n  # yaml-language-server: $schema=./sidecar.schema.json\n',
    )
}

function withFiles(command: Command): Command {
  return command
    .argument('[files...]', 'config files, as with -c; - is standard input')
    .option(
      '-c, --config <file>',
      'a config file; may be given several times, later ones win field by field',
      (file: string, before: string[]) => [...before, file],
      [],
    )
    .addHelpText(
      'after',
      '\nExamples:\n  outrigger config check -c sidecar.yaml -c production.yaml\n  kubectl get configmap web -o jsonpath={.data.sidecar} | outrigger config check -\n',
    )
}

async function load(files: readonly string[], { stderr, env }: ConfigSurroundings): Promise<LoadedSnapshot | null> {
  const loaded = await loadSnapshot(files, env)
  if (loaded.ok) return loaded
  const { red } = colours(stderr, env)
  for (const error of loaded.errors) stderr.write(`${printable(error).replace(/^\S+?:(\d+:\d+:)?/, red)}\n`)
  stderr.write(`${count(loaded.errors.length, 'error')}\n`)
  return null
}

async function check(files: readonly string[], strict: boolean, surroundings: ConfigSurroundings): Promise<void> {
  const { stdout, stderr, env } = surroundings
  const loaded = await load(files, surroundings)
  if (loaded === null) {
    surroundings.exitCode = 2
    return
  }
  const { green } = colours(stdout, env)
  const { yellow } = colours(stderr, env)
  const { warnings, snapshot, bootstrap, discovery } = loaded
  for (const warning of warnings) stderr.write(`${yellow('warning:')} ${printable(warning)}\n`)
  const verdict = warnings.length === 0 ? '' : `, with ${count(warnings.length, 'warning')}`
  if (strict && warnings.length > 0) {
    stderr.write(`${count(warnings.length, 'warning')}, and --strict takes them for errors\n`)
    surroundings.exitCode = 2
    return
  }
  stdout.write(
    `${green('good')} ${printable(files.map(file => (file === '-' ? 'stdin' : file)).join(', '))}${verdict}\n\n`,
  )
  stdout.write(
    section(
      'listeners',
      snapshot.listeners.map(listener => listenerRow(listener, snapshot)),
    ),
  )
  stdout.write(
    section(
      'services',
      Object.values(snapshot.services)
        .filter(isUsers)
        .map(service => serviceRow(service, discovery)),
    ),
  )
  const admin = bootstrap.admin === null ? 'off' : formatAddress(bootstrap.admin)
  stdout.write(
    section('sidecar', [
      ['service', bootstrap.service],
      ['admin', admin],
      ...(bootstrap.metrics === null ? [] : [['metrics', formatAddress(bootstrap.metrics)]]),
      ['workers', String(bootstrap.workers)],
      ['access log', snapshot.accessLog.mode],
      ...(discovery.consul === null
        ? []
        : [
            [
              'consul',
              `${discovery.consul.address}${discovery.consul.onDemand === null ? '' : ', other services on demand'}`,
            ],
          ]),
      ...(discovery.kubernetes === null ? [] : [['kubernetes', kubernetesText(discovery.kubernetes)]]),
      ...(bootstrap.register === null ? [] : [['registers', registrationText(bootstrap.register)]]),
      ['version', snapshot.version],
    ]),
  )
}

function kubernetesText({ address, namespace, onDemand }: KubernetesSpec): string {
  const server = address ?? 'the API server of the cluster'
  const own = namespace === null ? '' : `, namespace ${namespace}`
  return `${server}${own}${onDemand === null ? '' : ', other services on demand'}`
}

function registrationText({ name, port, id }: RegisterSpec): string {
  return `${name} at port ${port}${id === null ? '' : `, as ${id}`}`
}

/** Leaves out what is shown with its listener: the application behind one, and what is behind redirected connections. */
function isUsers({ kind }: ServiceSpec): boolean {
  return kind !== 'local' && kind !== 'original'
}

function listenerRow({ direction, listen, service, transparent }: ListenerSpec, { services }: Snapshot): string[] {
  if (transparent !== undefined && service === null)
    return [direction, formatAddress(listen), redirectedText(direction, transparent)]
  if (service === null) return [direction, formatAddress(listen), '-> any service, by Host']
  const to = direction === 'inbound' ? formatAddress(services[service]!.endpoints[0]!) : service
  return [direction, formatAddress(listen), `-> ${to}`]
}

function serviceRow(
  { name, endpoints, balancer, routes, timeouts, retries }: ServiceSpec,
  discovery: DiscoverySpec,
): string[] {
  const request = timeouts.requestMs === 0 ? 'no request timeout' : `request ${formatDuration(timeouts.requestMs)}`
  return [
    name,
    originText(name, endpoints.length, discovery),
    balancer.type,
    count(routes.length, 'route'),
    request,
    count(retries.attempts, 'try', 'tries'),
  ]
}

/** How many there are, or where they will come from. */
function originText(name: string, fixed: number, { files, dns, consul, kubernetes }: DiscoverySpec): string {
  const sources = [
    ...files.filter(({ service }) => service === name).map(({ path }) => path),
    ...dns.filter(({ service }) => service === name).map(source => `dns ${source.name}`),
    ...(consul?.services.some(({ service }) => service === name) ? ['consul'] : []),
    ...(kubernetes?.services.some(({ service }) => service === name) ? ['kubernetes'] : []),
  ]
  return [...(fixed === 0 && sources.length > 0 ? [] : [count(fixed, 'endpoint')]), ...sources].join(' + ')
}

async function printEffective(
  files: readonly string[],
  json: boolean,
  surroundings: ConfigSurroundings,
): Promise<void> {
  const { stdout, env } = surroundings
  const loaded = await load(files, surroundings)
  if (loaded === null) {
    surroundings.exitCode = 2
    return
  }
  const effective = await loaded.effective()
  if (json) {
    stdout.write(`${jsonText(effective, 2)}\n`)
    return
  }
  const { effectiveLines, describeSource } = await import('../mesh-config/effective-yaml.ts')
  const lines = effectiveLines(effective).map(line => ({ ...line, text: printable(line.text) }))
  const width = Math.min(48, Math.max(...lines.map(({ text }) => text.length)))
  const { dim, bold } = colours(stdout, env)
  const shown = lines.map(({ text, source }) => {
    if (source === null) return text
    const aligned = text.padEnd(width)
    return `${source.at === null ? aligned : bold(aligned)}  ${dim(printable(`# ${describeSource(source)}`))}`
  })
  stdout.write(`${shown.join('\n')}\n`)
}

async function printSchema(kind: string, surroundings: ConfigSurroundings): Promise<void> {
  const { publishedSchema } = await import('../mesh-config/schema.ts')
  if (kind === 'sidecar' || kind === 'service' || kind === 'dev')
    surroundings.stdout.write(`${JSON.stringify(publishedSchema(kind), null, 2)}\n`)
  else {
    surroundings.stderr.write(`there is no document "${printable(kind)}": write sidecar, service or dev\n`)
    surroundings.exitCode = 2
  }
}

/** The words are for completion. */
function documentArgument(command: Command): Argument {
  const argument = command.createArgument('[document]', 'sidecar, service or dev').default('sidecar')
  argument.argChoices = ['sidecar', 'service', 'dev']
  return argument
}

/** A title and aligned columns. */
function section(title: string, cells: readonly (readonly string[])[]): string {
  const rows = cells.map(row => row.map(printable))
  if (rows.length === 0) return ''
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map(row => row[column]!.length)))
  const lines = rows.map(row => `  ${row.map((cell, column) => cell.padEnd(widths[column]!)).join('  ')}`.trimEnd())
  return `${title}\n${lines.join('\n')}\n`
}

function count(number: number, one: string, many = `${one}s`): string {
  return `${number} ${number === 1 ? one : many}`
}
