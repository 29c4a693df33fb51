import { parse } from 'yaml'
import { agentHome } from '../../../integration/support/agent.ts'
import { type Child, temporaryFolder } from '../../../integration/support/child.ts'

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

/** A real agent, as users start it, that takes the spans of applications too. */
export async function startAgent({
  traces,
  env = {},
  folder = temporaryFolder(),
}: AgentOptions): Promise<RunningAgent> {
  const config = { traces: parse(`{ ${traces} }`) as unknown }
  const home = await agentHome(config, { OTEL_EXPORTER_OTLP_ENDPOINT: undefined, ...env }, folder)
  const child = await home.start()
  const [, grpc = '0'] = /(\d+) \(grpc\)/.exec(child.err()) ?? []
  const [, http = '0'] = /(\d+) \(http\)/.exec(child.err()) ?? []
  return { child, folder, socket: home.socket, grpc: Number(grpc), http: Number(http) }
}
