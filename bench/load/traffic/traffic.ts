import type { Child } from '../children.ts'
import type { Answer } from '../ready.ts'

/**
 * What passes through the proxies: `http1` and `h2` on both of their sides, `grpc` to a real gRPC server, `tcp`
 * anything.
 */
export type TrafficName = 'http1' | 'h2' | 'grpc' | 'tcp'

export interface Backends {
  readonly ports: readonly number[]
  readonly children: readonly Child[]
}

/** What is asked for. */
export interface Asked {
  readonly path: string
  /** Empty: a GET. */
  readonly body: Buffer
}

/** A closed loop. */
export interface Load extends Asked {
  readonly port: number
  readonly connections: number
  /** Requests at a time on each connection. */
  readonly streams: number
  readonly seconds: number
}

export interface LoadResult {
  readonly requests: number
  readonly perSecond: number
  /** Answers other than 2xx and 3xx, and connections that failed. */
  readonly failures: number
}

export interface Traffic {
  readonly name: TrafficName
  /** Three upstreams, on the load's core. */
  startBackends(): Promise<Backends>
  /** What a proxy that is ready answers with 200. */
  readonly first: Asked
  /** One request on a connection of its own. */
  ask(port: number, asked: Asked, timeoutMs?: number): Promise<Answer>
  load(load: Load): Promise<LoadResult>
}

export const NO_BODY = Buffer.alloc(0)
