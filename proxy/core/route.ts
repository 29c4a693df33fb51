import type { Random } from './clock.ts'
import type { Cluster, RetryPolicy } from './cluster.ts'
import type { DecisionRecord } from './decision.ts'
import type { Exchange } from './exchange.ts'
import type { FilterChain, LocalReply } from './filter.ts'
import type { RequestHead } from './message.ts'
import type { PriorityPolicy } from './priority.ts'
import type { RouteStats, TcpStats } from './telemetry.ts'
import type { Original } from './wire.ts'

export interface GrpcDeadline {
  /** No call gets longer; 0: as long as its caller says. */
  readonly maxMs: number
  /** Taken off. */
  readonly offsetMs: number
}

/** What takes the place of a refusal (`fallback`). */
export interface Fallback {
  /** The names of the failures that it is for. */
  readonly on: ReadonlySet<string>
  /** Null: it is another destination. */
  readonly reply: LocalReply | null
  /** Of that destination. */
  readonly name: string
  /** Null: it is not there. */
  cluster(): Cluster | null
}

/** A match with its policy, compiled when the snapshot was applied. */
export interface Route {
  /** The path pattern: the bounded `path` label. */
  readonly name: string
  readonly service: string
  /** What a request must be to take this route, in words. */
  readonly condition: string
  /** Those of the listener and its own. */
  readonly filters: FilterChain
  /** To the response head, over all attempts. 0: off. */
  readonly requestTimeoutMs: number
  readonly perTryTimeoutMs: number
  readonly idleTimeoutMs: number
  /** From the head of a request to the end of its answer. 0: off. */
  readonly maxStreamMs: number
  /** A caller's deadline of HTTP: it holds; or it is passed on only; or it holds, and requests without one get one. */
  readonly deadline: 'enforce' | 'pass' | 'begin'
  /** What becomes of a caller's `grpc-timeout`; null: it is passed on and nothing else. */
  readonly grpcDeadline: GrpcDeadline | null
  /** Of an open tunnel, in its place. 0: off. */
  readonly tunnelIdleMs: number
  /** Protocols that a request may ask to be upgraded to, in small letters. */
  readonly upgrades: ReadonlySet<string>
  readonly retry: RetryPolicy
  /** Null: a refusal is told to the caller. */
  readonly fallback: Fallback | null
  /** Null: all requests are alike. */
  readonly priority: PriorityPolicy | null
  readonly stats: RouteStats
  /** Weighted split: draws one destination and notes the draw. Null: it names a service that is not there. */
  destination(random: Random, record: DecisionRecord): Cluster | null
  /** What it draws from. */
  readonly destinations: readonly { readonly name: string; readonly weight: number }[]
}

/** Pure over (compiled snapshot, request head); notes in the record how the service was found. Null: no route. */
export type Router = (request: RequestHead, record: DecisionRecord) => Route | null

export interface TcpRoute extends Route {
  readonly tcp: TcpStats
}

/** The same for a tunnel. `serverName`: empty where there is none. */
export type TcpRouter = (serverName: string, record: DecisionRecord) => TcpRoute | null

/**
 * Where a redirected connection goes whose client named no service that is known (`exchange.peer.original` is there):
 * by the address it was made to. Null: `exchange.failure` and `exchange.detail` say why it goes nowhere, or no route of
 * the service matches.
 */
export interface ByAddress {
  request(exchange: Exchange): Route | null
  tunnel(exchange: Exchange): TcpRoute | null
  /** The service that the address stands for, where it is not there yet; null: it stands for none, or it is. */
  absent(original: Original): string | null
  /** Nothing is to be read of such a connection before it goes on. */
  isOpaque(original: Original): boolean
  /** It belongs to a service, or to the application. */
  isKnown(original: Original): boolean
}
