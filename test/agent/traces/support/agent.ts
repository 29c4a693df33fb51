import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Child, node, root, startChild, temporaryFolder } from '../../../integration/support/child.ts'

export interface RunningAgent {
  readonly child: Child
  readonly folder: string
  readonly socket: string
  /** Where applications send their spans. */
  readonly grpc: number
  readonly http: number
}

export interface AgentOptions {
  /** Under `traces:`, in YAML's short form. */
  readonly traces: string
  readonly env?: NodeJS.ProcessEnv
  /** That of an agent before. */
  readonly folder?: string
}

/** A real agent, as users start it. */
export async function startAgent({
  traces,
  env = {},
  folder = temporaryFolder(),
}: AgentOptions): Promise<RunningAgent> {
  const file = join(folder, 'agent.yaml')
  // A socket's address has 107 bytes at most, which a folder of the tests may exceed.
  const short = mkdtempSync('/tmp/outrigger-')
  process.on('exit', () => rmSync(short, { recursive: true, force: true }))
  const socket = join(short, 'agent.sock')
  writeFileSync(file, `listen: unix:${socket}\nstate: ${folder}/state\ntraces: { ${traces} }\n`)
  const child = startChild(node, [join(root, 'bin/outrigger.js'), 'agent', '-c', file], {
    OTEL_EXPORTER_OTLP_ENDPOINT: undefined,
    ...env,
  })
  await child.said('that it is ready', out => out.includes('ready on unix:'))
  const [, grpc = '0'] = /(\d+) \(grpc\)/.exec(child.err()) ?? []
  const [, http = '0'] = /(\d+) \(http\)/.exec(child.err()) ?? []
  return { child, folder, socket, grpc: Number(grpc), http: Number(http) }
}
