import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { askJaeger, type JaegerPorts, jaegerConfig } from '../../support/jaeger.ts'
import { type Running, root, startNode } from '../../support/processes.ts'

const RUN_BINARY = resolve(import.meta.dirname, '../../support/run-binary.ts')
const READY_WITHIN_MS = 60_000
/** Some minutes of the demo's load: Jaeger keeps them in memory. */
const MAX_TRACES = 5_000
/** The longest address of a Unix socket is 107 bytes. */
const LONGEST_PATH = 100

export interface Tracing {
  readonly jaeger: Running
  readonly agent: Running
}

/** Where the agent of the demo listens: in its folder, or in a short one where that is too long for a socket. */
export function agentSocket(folder: string): string {
  const path = join(folder, 'agent.sock')
  if (path.length <= LONGEST_PATH) return path
  const short = mkdtempSync(join(tmpdir().length < 40 ? tmpdir() : '/tmp', 'outrigger-'))
  process.on('exit', () => rmSync(short, { recursive: true, force: true }))
  return join(short, 'agent.sock')
}

/** The agent file, written to be read. */
export function agentFile(socket: string, folder: string, ports: JaegerPorts): string {
  return `# The agent of this host. Every sidecar of the demo sends its spans there; the agent sends them on to Jaeger.
listen: unix:${socket}
state: ${folder}/agent.state
admin: off
policies: { folder: ${folder}/policies }
traces:
  export: grpc://127.0.0.1:${ports.grpc}
  resource: { deployment.environment: demo }
  grpc: off     # the services of the demo make no spans of their own
  http: off
`
}

/** A real Jaeger and an agent that exports to it. Resolves when both take spans. */
export async function startTracing(
  binary: string,
  folder: string,
  socket: string,
  ports: JaegerPorts,
  onEnd: (text: string) => void,
): Promise<Tracing> {
  const config = join(folder, 'jaeger.json')
  writeFileSync(config, jaegerConfig(ports, MAX_TRACES))
  const jaeger = startNode('jaeger', [RUN_BINARY, binary, '--config', config], {}, join(folder, 'jaeger.log'), how =>
    onEnd(`jaeger ended: ${how}`),
  )
  const file = join(folder, 'agent.yaml')
  writeFileSync(file, agentFile(socket, folder, ports))
  const args = [resolve(root, 'bin/outrigger.js'), 'agent', '-c', file]
  const agent = startNode('agent', args, {}, join(folder, 'agent.log'), how => onEnd(`the agent ended: ${how}`))
  await Promise.all([
    until(jaeger, async () => (await askJaeger<string[]>(ports.query, 'services')) !== null),
    until(agent, async () => agent.lastWords(20).includes('ready on unix:')),
  ])
  return { jaeger, agent }
}

async function until(running: Running, isReady: () => Promise<boolean>): Promise<void> {
  const giveUpAt = performance.now() + READY_WITHIN_MS
  while (!(await isReady())) {
    const how = running.ended()
    const words = () => `It printed:\n${running.lastWords(8).replace(/^/gm, '  | ')}\nIts command: ${running.command}`
    if (how !== null) throw new Error(`The ${running.name} ended instead of starting (${how}). ${words()}`)
    if (performance.now() > giveUpAt)
      throw new Error(`The ${running.name} was not ready within ${READY_WITHIN_MS / 1000} s. ${words()}`)
    await sleep(50)
  }
}
