import { readFileSync } from 'node:fs'
import { hostname, userInfo } from 'node:os'
import type { Command } from 'commander'
import { MAX_DOCUMENT_BYTES } from '../mesh-config/policy-document.ts'
import { readTextSync } from '../mesh-config/read-file.ts'
import { jsonText, printable, printableLines } from '../proxy/core/printable.ts'
import { EXIT } from './ask-admin.ts'
import { type AgentOptions, askAgent, withAgent } from './ask-agent.ts'
import { colours } from './colours.ts'
import { diffLines } from './line-diff.ts'
import {
  diffText,
  type EffectivePolicy,
  effectiveText,
  factsText,
  historyText,
  listText,
  type PolicyDocument,
  type PolicySource,
} from './policy-text.ts'

interface PutOptions extends AgentOptions {
  readonly message?: string
  readonly author?: string
  readonly expect?: string
}

interface GetReply {
  readonly document: PolicyDocument | null
  readonly effective: Buffer
}

/** `outrigger policy ...`: the documents that the agent of this host knows, and the store where it writes. */
export function addPolicyCommand(program: Command): void {
  const policy = program.command('policy').description('policy documents: write, read, compare, take back')
  policy.addHelpText(
    'after',
    `
Examples:
  outrigger policy put orders orders.yaml -m "retry twice"    in force in every sidecar within a second
  outrigger policy get orders > orders.yaml                   the document as its author wrote it
  outrigger policy get orders --effective                     all values in force, each with where it was written
  outrigger policy rollback orders                            as it was before

Exit codes:
  0   done     1   no agent answers, or the store cannot be reached
  2   the command line or the document is wrong     3   the answer is no: another version is there, there is none, they differ`,
  )
  withAgent(policy.command('put'))
    .description('check a document and put it in force; - is standard input')
    .argument('<service>', 'the service it is for; "*" for the defaults of all')
    .argument('<file>', 'the document, in YAML or JSON')
    .option('-m, --message <text>', 'why, for the history')
    .option('--author <name>', 'who, for the history (default: user@host)')
    .option('--expect <version>', 'only where the document has this version; "none": only where there is none')
    .action(put)
  withAgent(policy.command('get'))
    .description('print a document as its author wrote it, or with --effective what is in force')
    .argument('<service>', 'its service; "*" for the defaults of all')
    .option('--version <version>', 'an earlier version, of its history')
    .option('--effective', 'every value in force for the service, of all documents, and where it was written')
    .action(get)
  withAgent(policy.command('list')).description('all documents of all sources, and how the sources do').action(list)
  withAgent(policy.command('diff'))
    .description('what a local file, or another version, would change: exit code 3 where they differ')
    .argument('<service>', 'its service; "*" for the defaults of all')
    .argument('[file]', 'a local file; - is standard input')
    .option('--from <version>', 'this version rather than the newest')
    .option('--to <version>', 'this version rather than a file')
    .action(diff)
  withAgent(policy.command('history'))
    .description('the versions of a document, the newest first')
    .argument('<service>', 'its service; "*" for the defaults of all')
    .action(history)
  withAgent(policy.command('rollback'))
    .description('put what an earlier version said as a new version')
    .argument('<service>', 'its service; "*" for the defaults of all')
    .argument('[version]', 'which (default: the last one that said something else)')
    .option('--author <name>', 'who, for the history (default: user@host)')
    .action(rollback)
  withAgent(policy.command('lint'))
    .description('what is wrong with a document, together with the others in force; nothing is kept')
    .argument('<service>', 'the service it is for; "*" for the defaults of all')
    .argument('<file>', 'the document; - is standard input')
    .action(lint)
}

/** Null: it cannot be read, and why is printed. */
function read(file: string): string | null {
  try {
    return file === '-' ? readFileSync(0, 'utf8') : readTextSync(file, MAX_DOCUMENT_BYTES)
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    const why = code === 'ENOENT' ? 'there is no such file' : message
    process.stderr.write(`${printable(file)}: ${printable(why)}\n`)
    process.exitCode = EXIT.usage
    return null
  }
}

const shown = (file: string) => (file === '-' ? 'stdin' : file)

function author(given: string | undefined): string {
  if (given !== undefined) return given
  try {
    return `${process.env.USER || userInfo().username}@${hostname()}`
  } catch {
    // A user number without a name.
    return `${process.getuid?.() ?? ''}@${hostname()}`
  }
}

const out = () => colours(process.stdout, process.env)
const err = () => colours(process.stderr, process.env)
const width = () => process.stdout.columns ?? Number.POSITIVE_INFINITY

function warn(warnings: readonly string[]): void {
  for (const warning of warnings) process.stderr.write(`${err().yellow('warning:')} ${printable(warning)}\n`)
}

async function put(service: string, file: string, options: PutOptions): Promise<void> {
  const text = read(file)
  if (text === null) return
  const { message = '', expect = '' } = options
  const request = { service, text, file: shown(file), author: author(options.author), comment: message, expect }
  await told(service, await askAgent('Policies', 'Put', request, options), options)
}

async function rollback(service: string, version: string | undefined, options: PutOptions): Promise<void> {
  const request = { service, version: version ?? '', author: author(options.author) }
  await told(service, await askAgent('Policies', 'Rollback', request, options), options)
}

async function told(service: string, reply: { version: string; warnings: string[] } | null, { json }: PutOptions) {
  if (reply === null) return
  if (json === true) return void process.stdout.write(`${jsonText(reply)}\n`)
  warn(reply.warnings)
  process.stdout.write(`${out().green('put')} ${printable(service)}, version ${printable(reply.version)}\n`)
}

async function get(service: string, options: AgentOptions & { version?: string; effective?: true }): Promise<void> {
  const request = { service, version: options.version ?? '' }
  const reply = await askAgent<GetReply>('Policies', 'Get', request, options)
  if (reply === null) return
  const { document } = reply
  const effective = reply.effective.length === 0 ? null : (JSON.parse(reply.effective.toString()) as EffectivePolicy)
  if (options.json === true) return void process.stdout.write(`${jsonText({ document, effective }, 2)}\n`)
  if (options.effective === true)
    return void process.stdout.write(effective === null ? '' : effectiveText(effective, out()))
  if (document === null) {
    process.stderr.write(
      `${printable(service)} has no document of its own, only the defaults of all: see them with --effective\n`,
    )
    process.exitCode = EXIT.no
    return
  }
  process.stderr.write(factsText(document, err()))
  // Into a file it goes as it is.
  const text = process.stdout.isTTY ? printableLines(document.text) : document.text
  process.stdout.write(text.endsWith('\n') ? text : `${text}\n`)
}

async function list(options: AgentOptions): Promise<void> {
  const reply = await askAgent<{ documents: PolicyDocument[]; sources: PolicySource[] }>(
    'Policies',
    'List',
    {},
    options,
  )
  if (reply === null) return
  process.stdout.write(
    options.json === true ? `${jsonText(reply, 2)}\n` : listText(reply.documents, reply.sources, width(), out()),
  )
}

async function diff(
  service: string,
  file: string | undefined,
  options: AgentOptions & { from?: string; to?: string },
): Promise<void> {
  if ((file === undefined) === (options.to === undefined) && (file !== undefined || options.from === undefined)) {
    process.stderr.write('what is it to be compared with? Name a file, or --to a version\n')
    process.exitCode = EXIT.usage
    return
  }
  const versionOf = async (version: string) => {
    const reply = await askAgent<GetReply>('Policies', 'Get', { service, version }, options)
    return reply === null ? null : (reply.document?.text ?? '')
  }
  const after = file === undefined ? await versionOf(options.to ?? '') : read(file)
  const before = after === null ? null : await versionOf(options.from ?? '')
  if (after === null || before === null) return
  const lines = diffLines(before, after)
  if (options.json === true) process.stdout.write(`${jsonText(lines)}\n`)
  else process.stdout.write(diffText(lines, out()))
  if (lines.length > 0) process.exitCode = EXIT.no
}

async function history(service: string, options: AgentOptions): Promise<void> {
  const reply = await askAgent<{ versions: PolicyDocument[] }>('Policies', 'History', { service }, options)
  if (reply === null) return
  if (options.json === true) return void process.stdout.write(`${jsonText(reply, 2)}\n`)
  if (reply.versions.length > 0) return void process.stdout.write(historyText(reply.versions, width(), out()))
  process.stderr.write(`no version of ${printable(service)} was put by "outrigger policy"\n`)
  process.exitCode = EXIT.no
}

async function lint(service: string, file: string, options: AgentOptions): Promise<void> {
  const text = read(file)
  if (text === null) return
  const request = { service, text, file: shown(file) }
  const reply = await askAgent<{ errors: string[]; warnings: string[] }>('Policies', 'Lint', request, options)
  if (reply === null) return
  if (options.json === true) process.stdout.write(`${jsonText(reply)}\n`)
  else {
    warn(reply.warnings)
    for (const error of reply.errors)
      process.stderr.write(`${printable(error).replace(/^\S+?:(\d+:\d+:)?/, err().red)}\n`)
    if (reply.errors.length === 0) process.stdout.write(`${out().green('good')} ${printable(shown(file))}\n`)
  }
  if (reply.errors.length > 0) process.exitCode = EXIT.usage
}
