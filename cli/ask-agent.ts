import { type Client, type ClientReadableStream, credentials, type ServiceError } from '@grpc/grpc-js'
import type { Command } from 'commander'
import { grpcService, type ServiceName } from '../agent/sync/protos.ts'
import { distrust } from '../mesh-config/agent/distrust.ts'
import { defaultSocket } from '../mesh-config/agent/socket.ts'
import { printable, printableLines } from '../proxy/core/printable.ts'
import { EXIT } from './ask-admin.ts'

export interface AgentOptions {
  readonly agent?: string
  readonly json?: true
}

/** The options of all commands that ask an agent. */
export function withAgent(command: Command): Command {
  return command
    .option('-A, --agent <socket>', 'the Unix socket of the agent (default: OUTRIGGER_AGENT, else where agents listen)')
    .option('--json', 'JSON, for programs')
}

/** Replies have the statistics of a whole mesh. */
const MAX_REPLY = 64 * 1024 * 1024

type Methods = Client & Readonly<Record<string, unknown>>
type Done = (error: ServiceError | null, reply: unknown) => void
type Unary = (request: object, options: object, done: Done) => void
type Streaming = (request: object) => ClientReadableStream<unknown>

/** Null: its socket is not to be trusted; why is printed, and the exit code is set. */
function clientOf(service: ServiceName, { agent }: AgentOptions): { client: Methods; address: string } | null {
  const uid = process.getuid?.() ?? 0
  const path = agent?.replace(/^unix:/, '') ?? defaultSocket(process.env, uid)
  // Whoever listens there would read policies, and say what is in force.
  const distrusted = agent === undefined && process.env.OUTRIGGER_AGENT === undefined ? distrust(path, uid) : ''
  if (distrusted !== '') {
    process.stderr.write(`${printable(distrusted)}: name the socket of your agent with --agent\n`)
    process.exitCode = EXIT.failed
    return null
  }
  const Service = grpcService(service)
  const client = new Service(`unix:${path}`, credentials.createInsecure(), {
    'grpc.max_receive_message_length': MAX_REPLY,
    'grpc.enable_retries': 0,
  })
  return { client: client as unknown as Methods, address: `unix:${path}` }
}

/** One call of the agent of this host. Null: it did not do it; why is printed, and the exit code is set. */
export async function askAgent<Reply>(
  service: ServiceName,
  method: string,
  request: object,
  options: AgentOptions,
  deadlineMs = 10_000,
): Promise<Reply | null> {
  const found = clientOf(service, options)
  if (found === null) return null
  const { client, address } = found
  const { promise, resolve, reject } = Promise.withResolvers<Reply>()
  const call = (client[method] as Unary).bind(client)
  call(request, { deadline: Date.now() + deadlineMs }, (error, reply) =>
    error === null ? resolve(reply as Reply) : reject(error),
  )
  try {
    return await promise
  } catch (error) {
    tellAgentError(error as ServiceError, address)
    return null
  } finally {
    client.close()
  }
}

/** Calls `take` with each reply of a stream until it returns true. Resolves at its end; trouble is told as above. */
export async function followAgent<Reply>(
  service: ServiceName,
  method: string,
  request: object,
  options: AgentOptions,
  take: (reply: Reply) => boolean,
  signal: AbortSignal,
): Promise<void> {
  const found = clientOf(service, options)
  if (found === null) return
  const { client, address } = found
  const stream = (client[method] as Streaming).bind(client)(request)
  const { promise, resolve } = Promise.withResolvers<ServiceError | null>()
  const end = () => {
    resolve(null)
    stream.cancel()
  }
  stream.on('data', reply => {
    if (take(reply as Reply)) end()
  })
  stream.on('error', error => resolve(error as ServiceError))
  stream.on('end', () => resolve(null))
  signal.addEventListener('abort', end, { once: true })
  const error = await promise
  client.close()
  if (error !== null) tellAgentError(error, address)
}

const [INVALID_ARGUMENT, NOT_FOUND, FAILED_PRECONDITION, UNAVAILABLE] = [3, 5, 9, 14] as const
/** The request is wrong, or the answer is no; else the agent has failed. */
const exitOf: Readonly<Record<number, number>> = {
  [INVALID_ARGUMENT]: EXIT.usage,
  [NOT_FOUND]: EXIT.no,
  [FAILED_PRECONDITION]: EXIT.no,
}

/** Prints why the agent did not do it, with what helps. */
function tellAgentError({ code, details, message }: ServiceError, address: string): void {
  const isAway = code === UNAVAILABLE && /^(No connection established|Connection dropped|Name resolution)/.test(details)
  const why = isAway
    ? `no agent answers at ${address}: is "outrigger agent" running, as the same user, and is --agent its socket?`
    : details || message
  process.stderr.write(`${printableLines(why)}\n`)
  process.exitCode = exitOf[code] ?? EXIT.failed
}
