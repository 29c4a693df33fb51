import { readFileSync } from 'node:fs'
import { Server } from '@grpc/grpc-js'
import { loadAgentFile } from '../mesh-config/agent/load-agent-file.ts'
import { defaultSocket } from '../mesh-config/agent/socket.ts'
import { agentState } from '../mesh-config/agent/state-folder.ts'
import type { AgentPart } from './part.ts'
import { listenOnSocket } from './sync/socket.ts'
import { tracesPart } from './traces/traces.ts'

export interface AgentOptions {
  readonly version: string
  /** Null: no file, and everything is as by default. */
  readonly file: string | null
}

const EXIT_CANNOT_START = 1
const EXIT_BAD_CONFIG = 2

/** The agent of this host, step by step. Ends only by `process.exit`. */
export async function runAgent({ version, file }: AgentOptions): Promise<void> {
  // 1  The configuration.
  const source = file === null ? null : { file, text: readFileSync(file, 'utf8') }
  const loaded = await loadAgentFile(source, process.env)
  if (!loaded.ok) return stop(EXIT_BAD_CONFIG, loaded.errors)
  const { document } = loaded

  // 2  The parts, joined.
  const server = new Server()
  let parts: AgentPart[]
  try {
    parts = [
      tracesPart({
        document,
        env: process.env,
        state: agentState(document.state, process.env),
        consul: null,
        log: { info: say, warn: say },
      }),
    ]
    for (const part of parts) part.register(server)
    for (const part of parts) await part.start()
  } catch (error) {
    return stop(EXIT_CANNOT_START, [(error as Error).message])
  }

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
    server.forceShutdown()
    for (const part of parts.reverse()) await part.stop()
    process.exit(0)
  }
  process.once('SIGTERM', () => void end())
  process.once('SIGINT', () => void end())
}

function say(line: string): void {
  process.stderr.write(`${line}\n`)
}

function stop(code: number, lines: readonly string[]): void {
  process.stderr.write(lines.map(line => `${line}\n`).join(''))
  process.exit(code)
}
