import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { dirname, resolve } from 'node:path'
import { Server } from '@grpc/grpc-js'
import { loadAgentFile } from '../mesh-config/agent/load-agent-file.ts'
import { defaultSocket } from '../mesh-config/agent/socket.ts'
import { agentState } from '../mesh-config/agent/state.ts'
import { consulApi } from './consul.ts'
import { type AgentLog, agentLog, type LogLevel } from './log.ts'
import { joinMesh } from './mesh.ts'
import { agentMetrics } from './metrics.ts'
import type { AgentPart } from './part.ts'
import { fileSource } from './policy/files.ts'
import { refusedInStatus, sourcesInStatus } from './policy/in-status.ts'
import { policiesOf } from './policy/policies.ts'
import type { PolicySource } from './policy/source.ts'
import { zookeeperOptions, zookeeperSource } from './policy/zookeeper.ts'
import { followServer } from './sync/follow.ts'
import { listenOnSocket } from './sync/socket.ts'

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

const EXIT_CANNOT_START = 1
const EXIT_BAD_CONFIG = 2

/** The agent of this host, step by step. Ends only by `process.exit`. */
export async function runAgent({ version, file, logLevel, pretty, colors, check }: AgentOptions): Promise<void> {
  // 1  The configuration.
  const loaded = await loadFile(file)
  if (!loaded.ok) return stop(EXIT_BAD_CONFIG, loaded.errors)
  const { document } = loaded
  if (check) return done(`good ${file ?? 'without a file, as by default'}\n`)
  const base = file === null ? process.cwd() : dirname(resolve(file))
  const state = agentState(document.state, base, process.env)

  // 2  The parts, joined.
  const log: AgentLog = agentLog({ level: logLevel, pretty, colors, write: line => void process.stderr.write(line) })
  const metrics = agentMetrics()
  const consul = document.consul === undefined ? null : consulApi(document.consul)
  const { folder, zookeeper } = document.policies
  const sources: PolicySource[] = [fileSource(resolve(base, folder), folder)]
  if (zookeeper !== undefined) sources.push(zookeeperSource(zookeeperOptions(zookeeper)))
  const policies = policiesOf({
    sources,
    file: state === null ? null : resolve(state, 'policies.json'),
    env: process.env,
    log,
  })
  const follow = followServer({
    book: policies,
    log,
    agent: hostname(),
    version,
    onSummary: (from, summary) => stats.onSummary(from, summary),
  })
  const { stats, parts: meshParts } = joinMesh({
    mesh: document.mesh,
    consul,
    base,
    version,
    log,
    facts: {
      followers: follow.followers,
      sources: () => sourcesInStatus(policies),
      refused: () => refusedInStatus(policies),
      exporting: () => [],
      rollout: () => '',
    },
  })
  const parts: AgentPart[] = [
    { name: 'policy', register: () => {}, start: policies.start, stop: policies.stop },
    { name: 'sync', register: follow.register, start: async () => {}, stop: async () => follow.close() },
    ...meshParts,
  ]
  void metrics
  const server = new Server({
    'grpc.keepalive_time_ms': 20_000,
    'grpc.keepalive_timeout_ms': 10_000,
    'grpc.keepalive_permit_without_calls': 1,
  })
  for (const part of parts) part.register(server)
  for (const part of parts) await part.start()

  // 3  Listen.
  const socket = document.listen?.replace(/^unix:/, '') ?? defaultSocket(process.env, process.getuid?.() ?? 0)
  try {
    await listenOnSocket(server, socket)
  } catch (error) {
    return stop(EXIT_CANNOT_START, [(error as Error).message])
  }
  process.stdout.write(`outrigger agent ${version}: ready on unix:${socket}\n`)

  // 4  The end.
  const end = async () => {
    for (const part of parts.reverse()) await part.stop()
    server.forceShutdown()
    process.exit(0)
  }
  process.once('SIGTERM', () => void end())
  process.once('SIGINT', () => void end())
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
