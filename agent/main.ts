import { readFileSync, rmSync } from 'node:fs'
import { hostname } from 'node:os'
import { dirname, resolve } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { Server } from '@grpc/grpc-js'
import { addressOf } from '../mesh-config/address.ts'
import { type AgentDocument, DEFAULT_ADMIN } from '../mesh-config/agent/agent-file.ts'
import { distrust } from '../mesh-config/agent/distrust.ts'
import { loadAgentFile } from '../mesh-config/agent/load-agent-file.ts'
import { defaultSocket } from '../mesh-config/agent/socket.ts'
import { agentState } from '../mesh-config/agent/state.ts'
import { type AdminPages, openAdmin } from './admin.ts'
import { consulApi } from './consul.ts'
import { type AgentLog, agentLog, type LogLevel } from './log.ts'
import { joinMesh } from './mesh.ts'
import { agentMetrics } from './metrics.ts'
import type { AgentPart } from './part.ts'
import { refusedInStatus, sourcesInStatus } from './policy/in-status.ts'
import { policyPart } from './policy/part.ts'
import { policiesOf } from './policy/policies.ts'
import { policySeries } from './policy/series.ts'
import { sourcesOf } from './policy/sources-of.ts'
import { reread } from './reread.ts'
import { joinRollouts } from './staged.ts'
import { followServer } from './sync/follow.ts'
import { followSeries } from './sync/series.ts'
import { listenOnSocket, refuseSecondAgent } from './sync/socket.ts'
import { publishTraces } from './traces/publish.ts'
import { type TracesPart, tracesPart } from './traces/traces.ts'

export interface AgentOptions {
  readonly version: string
  /** Null: no file, and everything is as by default. */
  readonly file: string | null
  readonly logLevel: LogLevel
  /** Log lines for people at a terminal; else JSON lines. */
  readonly pretty: boolean
  readonly colors: boolean
  /** Only read the file and say what is wrong with it. */
  readonly check: boolean
}

const SERVER_OPTIONS = {
  // A proxy or a command that is gone without a word is noticed.
  'grpc.keepalive_time_ms': 20_000,
  'grpc.keepalive_timeout_ms': 10_000,
  'grpc.keepalive_permit_without_calls': 1,
  // A document that is too large is refused by its own bound, which says so.
  'grpc.max_receive_message_length': 16 * 1024 * 1024,
}

const EXIT_CANNOT_START = 1
const EXIT_BAD_CONFIG = 2

/** The agent of this host, step by step. Ends only by `process.exit`. */
export async function runAgent({ version, file, logLevel, pretty, colors, check }: AgentOptions): Promise<void> {
  // V8's middle compiler keeps 14 MB for the memory of its threads; what runs often, TurboFan compiles anyway.
  setFlagsFromString('--no-maglev')
  // 1  The configuration.
  const loaded = await loadFile(file)
  if (!loaded.ok) return stop(EXIT_BAD_CONFIG, loaded.errors)
  const { document } = loaded
  if (check) return done(`good ${file ?? 'without a file, as by default'}\n`)
  const base = file === null ? process.cwd() : dirname(resolve(file))
  const state = agentState(document.state, base, process.env)

  const uid = process.getuid?.() ?? 0
  const socket = document.listen?.replace(/^unix:/, '') ?? defaultSocket(process.env, uid)
  const isNamed = document.listen !== undefined || process.env.OUTRIGGER_AGENT !== undefined
  try {
    const distrusted = isNamed ? '' : distrust(socket, uid)
    if (distrusted !== '') throw new Error(`${distrusted}: remove it, or name another socket in listen:`)
    await refuseSecondAgent(socket)
  } catch (error) {
    return stop(EXIT_CANNOT_START, [(error as Error).message])
  }

  // 2  The parts, joined.
  const log = agentLog({ level: logLevel, pretty, colors, write: line => void process.stderr.write(line) })
  const metrics = agentMetrics()
  const consul = document.consul === undefined ? null : consulApi(document.consul)
  const { prefix } = document.policies
  const rollouts = joinRollouts({
    consul,
    prefix,
    file: state === null ? null : resolve(state, 'rollouts.json'),
    mesh: () => mesh,
    candidates: () => policies.candidates,
    metrics,
    log,
  })
  const sources = sourcesOf(base, consul)
  const policies = policiesOf({
    sources: sources(document.policies),
    file: state === null ? null : resolve(state, 'policies.json'),
    env: process.env,
    log,
    rollouts,
  })
  const follow = followServer({
    book: policies,
    log,
    agent: hostname(),
    version,
    onSummary: (from, summary) => mesh.stats.onSummary(from, summary),
  })
  let exporting: () => readonly string[] = () => []
  const mesh = joinMesh({
    mesh: document.mesh,
    consul,
    prefix,
    base,
    version,
    log,
    facts: {
      followers: follow.followers,
      sources: () => sourcesInStatus(policies),
      refused: () => refusedInStatus(policies),
      exporting: () => exporting(),
      rollout: rollouts.words,
    },
  })
  policySeries(metrics, policies)
  followSeries(metrics, follow)
  const parts: AgentPart[] = [
    // Before the documents, which ask how their roll-outs stand.
    rollouts.part,
    policyPart(policies, process.env),
    { name: 'sync', register: follow.register, start: async () => {}, stop: async () => follow.close() },
    ...mesh.parts,
  ]
  const server = new Server(SERVER_OPTIONS)
  let configureTraces: TracesPart['configure'] = () => {}
  try {
    // First: where it cannot start, nothing else has.
    const consulSelf = consul === null ? null : async () => (await consul.call('GET', 'agent/self')).json()
    const traces = tracesPart({ document, env: process.env, base, state, consulSelf, log })
    publishTraces(metrics, traces)
    exporting = traces.exporting
    configureTraces = traces.configure
    parts.unshift(traces)
    for (const part of parts) part.register(server)
    for (const part of parts) await part.start()
  } catch (error) {
    return stop(EXIT_CANNOT_START, [(error as Error).message])
  }

  // 3  Listen.
  const pages: AdminPages = {
    metrics,
    ready: () => policies.notReady(),
    status: () => ({ agent: hostname(), version, ...policies.status(), followers: follow.followers() }),
  }
  try {
    await listenOnSocket(server, socket)
    await admin(document.admin, pages, version, log)
  } catch (error) {
    return stop(EXIT_CANNOT_START, [(error as Error).message])
  }
  process.stdout.write(`outrigger agent ${version}: ready on unix:${socket}\n`)

  // 4  A new file, and the end.
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGUSR1']) process.removeAllListeners(signal)
  process.on('SIGUSR1', () => {})
  let inForce = document
  const again = async () => {
    const found = await changed(file, inForce, log)
    if (found === null) return
    inForce = found
    configureTraces(inForce.traces)
    await policies.configure(sources(inForce.policies))
  }
  let rereading = Promise.resolve()
  process.on('SIGHUP', () => {
    rereading = rereading.then(again)
  })
  let isEnding = false
  const end = async (code: number) => {
    if (isEnding) process.exit(code)
    isEnding = true
    for (const part of parts.toReversed()) await part.stop()
    server.forceShutdown()
    consul?.close()
    rmSync(socket, { force: true })
    process.exit(0)
  }
  process.on('SIGTERM', () => void end(143))
  process.on('SIGINT', () => void end(130))
}

/** The port of the pages. The default one may be another agent's: then there is none. */
async function admin(written: string, pages: AdminPages, version: string, log: AgentLog): Promise<void> {
  if (written === 'off') return
  try {
    await openAdmin(addressOf(written), pages)
    process.stdout.write(`outrigger agent ${version}: admin on http://${written}\n`)
  } catch (error) {
    const reason = `admin: cannot listen on ${written}: ${(error as Error).message}`
    if (written !== DEFAULT_ADMIN) throw new Error(`${reason}: choose another port, or write admin: off`)
    log.warn('the agent goes on without its admin port', { reason })
  }
}

/** What is in force from now on; null: as before. Of the rest the log says that it needs a restart. */
async function changed(file: string | null, inForce: AgentDocument, log: AgentLog): Promise<AgentDocument | null> {
  const loaded = await loadFile(file)
  if (!loaded.ok) {
    for (const error of loaded.errors) log.error('the agent file is wrong, and nothing changes', { error })
    return null
  }
  const { document, changed, waiting } = reread(inForce, loaded.document)
  if (changed.length > 0) log.info('changes of the agent file are in force', { changed: changed.join(', ') })
  if (waiting.length > 0)
    log.warn('changes of the agent file need a restart of the agent; proxies go on meanwhile', {
      changed: waiting.join(', '),
    })
  if (changed.length + waiting.length === 0) log.info('the agent file says what is in force')
  return changed.length > 0 ? document : null
}

async function loadFile(file: string | null): ReturnType<typeof loadAgentFile> {
  try {
    return await loadAgentFile(file === null ? null : { file, text: readFileSync(file, 'utf8') }, process.env)
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    const why = code === 'ENOENT' ? 'there is no such file: check the path given with -c' : message
    return { ok: false, errors: [`${file}: ${why}`] }
  }
}

function done(line: string): void {
  process.stdout.write(line)
  process.exit(0)
}

function stop(code: number, lines: readonly string[]): void {
  process.stderr.write(lines.map(line => `${line}\n`).join(''))
  process.exit(code)
}
