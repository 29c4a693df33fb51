import type { ConsulSpec } from '../../../mesh-config/snapshot.ts'
import type { Clock, Random } from '../../core/clock.ts'
import type { Log } from '../../core/log.ts'
import type { Answer, Asked } from './answer.ts'
import type { Parking } from './parking.ts'
import type { TransportDeps } from './transport.ts'

export interface ConsulDeps extends TransportDeps {
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
}

export interface Where {
  /** Null: the agent's. */
  readonly datacenter: string | null
}

/**
 * The part of Consul's HTTP API that is used. All calls reject with a ConsulTrouble, and as soon as their signal
 * aborts.
 */
export interface ConsulClient {
  readonly spec: ConsulSpec
  /** The instances of a service, with their checks. */
  health(name: string, where: Where, asked: Asked, signal: AbortSignal): Promise<Answer>
  /**
   * Checks in any state that `filter` lets through
   * (https://developer.hashicorp.com/consul/api-docs/features/filtering).
   */
  checks(filter: string, where: Where, asked: Asked, signal: AbortSignal): Promise<Answer>
  /** The names of all services, with their tags. */
  services(where: Where, asked: Asked, signal: AbortSignal): Promise<Answer>
  /** The state of the servers, without the copy that the agent keeps. */
  servers(where: Where, asked: Asked, signal: AbortSignal): Promise<Answer>
  /** The agent's own configuration. */
  self(signal: AbortSignal): Promise<Answer>
  /** The agent's own record of an instance; answers when it differs from `contentHash`. 404: none. */
  agentService(id: string, contentHash: string, waitMs: number, signal: AbortSignal): Promise<Answer>
  /** `passing`, `warning`, `critical`, `maintenance`; empty: the agent does not know it. */
  agentHealth(id: string, signal: AbortSignal): Promise<string>
  register(definition: unknown, signal: AbortSignal): Promise<void>
  deregister(id: string, signal: AbortSignal): Promise<void>
  heartbeat(checkId: string, status: CheckStatus, note: string, signal: AbortSignal): Promise<void>
  /** The limit of queries that wait on connections of their own, and the watch over the others. */
  readonly parking: Parking
  crowd(where: Where): Crowd
  pulse(where: Where): Pulse
  readonly closed: AbortSignal
  /** Aborts all requests and accepts no more. */
  close(): void
}

export type CheckStatus = 'passing' | 'warning' | 'critical'

/**
 * Watches services that have no connection of their own (parking.ts). Two queries cover all of them. One asks for the
 * checks of these services and of nodes that are not healthy: a change there names the service. The other asks for the
 * names of all services: its index moves at every registration, without saying which.
 */
export interface Crowd {
  join(name: string): Member
}

export interface Member {
  /**
   * Resolves when its service may have changed since the last call, at the latest after this time, or when the signal
   * aborts.
   */
  changed(atMostMs: number, signal: AbortSignal): Promise<void>
  /** The service had changed. */
  found(): void
  leave(): void
}

/**
 * An agent answers waiting queries from a copy that it keeps (`use_streaming_backend`). When its servers lose their
 * leader, die, or come back empty, the copy and the queries stay as they are until the end of their wait. So one query
 * per datacenter goes to the servers themselves: their trouble is known at once, and when it is over all services are
 * asked for anew.
 */
export interface Pulse {
  /** Returns a function that stops it. */
  follow(follower: Follower): () => void
}

export interface Follower {
  /** The servers do not answer, or are without a leader for too long; empty: they are well again. */
  readonly onTrouble: (reason: string) => void
  /** Their data may have changed. */
  readonly onRenewed: () => void
}
