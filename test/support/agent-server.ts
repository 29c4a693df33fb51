import { rmSync } from 'node:fs'
import { Server, ServerCredentials, type ServerDuplexStream, type ServiceDefinition } from '@grpc/grpc-js'
import { grpcService } from '../../agent/sync/protos.ts'
import { compileService } from '../../mesh-config/compile-service.ts'
import { serviceSchema } from '../../mesh-config/service.ts'
import type { ServiceSpec } from '../../mesh-config/snapshot.ts'

/** What an agent speaks, over grpc-js and the protos: what it says and hears, tests decide. */

export interface HeardWanted {
  readonly service: string
  readonly own: Buffer
  readonly have: string
}

export interface HeardAnswer {
  readonly service: string
  readonly version: string
  readonly reasons: readonly string[]
}

export interface Heard {
  readonly hello?: Readonly<Record<string, unknown>> & { readonly formats: readonly number[]; readonly proxy: string }
  readonly subscribe?: { readonly services: readonly HeardWanted[] }
  readonly answer?: HeardAnswer
  readonly summary?: Readonly<Record<string, unknown>>
}

export type FollowCall = ServerDuplexStream<Heard, object>

export interface SentUpdate {
  readonly service: string
  readonly version: string
  readonly unchanged?: boolean
  readonly spec?: Buffer
  readonly provenance?: Buffer
  readonly discovery?: Buffer
  readonly warnings?: readonly string[]
}

export interface AgentServer {
  readonly path: string
  /** All messages of all proxies, in order. */
  readonly heard: readonly Heard[]
  readonly answers: () => readonly HeardAnswer[]
  /** The subscription of the last proxy; empty: there was none. */
  readonly subscribed: () => readonly string[]
  /** Streams that are open. */
  readonly calls: ReadonlySet<FollowCall>
  /** To all proxies. False: one of them takes no more for now. */
  update(update: SentUpdate): boolean
  stop(): void
}

export interface AgentServerOptions {
  /** Answers a message; by default a Hello gets a Welcome. */
  readonly onMessage?: (call: FollowCall, message: Heard) => void
  readonly format?: number
}

export async function agentServer(path: string, options: AgentServerOptions = {}): Promise<AgentServer> {
  const heard: Heard[] = []
  const calls = new Set<FollowCall>()
  const server = new Server()
  const { onMessage = greeting(options.format ?? 1) } = options
  server.addService(grpcService('Sync').service as ServiceDefinition, {
    Follow(call: FollowCall) {
      calls.add(call)
      call.on('data', (message: Heard) => {
        heard.push(message)
        onMessage(call, message)
      })
      call.on('end', () => call.end())
      call.on('error', () => calls.delete(call))
      call.on('close', () => calls.delete(call))
      call.on('cancelled', () => calls.delete(call))
    },
  })
  rmSync(path, { force: true })
  await new Promise<void>((resolve, reject) =>
    server.bindAsync(`unix:${path}`, ServerCredentials.createInsecure(), error =>
      error === null ? resolve() : reject(error),
    ),
  )
  return {
    path,
    heard,
    calls,
    answers: () => heard.flatMap(({ answer }) => answer ?? []),
    subscribed: () =>
      heard
        .flatMap(({ subscribe }) => subscribe ?? [])
        .at(-1)
        ?.services.map(({ service }) => service) ?? [],
    update: update => [...calls].map(call => call.write({ update })).every(Boolean),
    stop() {
      server.forceShutdown()
      rmSync(path, { force: true })
    },
  }
}

function greeting(format: number): (call: FollowCall, message: Heard) => void {
  return (call, { hello }) => {
    if (hello == null) return
    if (!hello.formats.includes(format)) {
      call.write({ refusal: { reason: `this agent sends format ${format}: upgrade the proxy` } })
      return call.end()
    }
    call.write({ welcome: { format, agent: 'test-host', version: '9.9.9' } })
  }
}

/** What a document is as a compiled policy, without endpoints. */
export function specOf(service: string, policy: object): ServiceSpec {
  return compileService(service, serviceSchema.parse(policy), [])
}

export function updateOf(service: string, version: string, policy: object): SentUpdate {
  return { service, version, spec: Buffer.from(JSON.stringify(specOf(service, policy))) }
}
