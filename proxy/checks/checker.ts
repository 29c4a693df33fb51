import type { AddressSpec } from '../../mesh-config/snapshot.ts'
import type { Clock } from '../core/clock.ts'
import type { Codec } from '../core/codec.ts'
import { isLocalTrouble } from '../core/local-trouble.ts'
import type { Dial } from '../core/wire.ts'

/**
 * What came of one check. `unhealthy`: the endpoint itself says that it is not to be used. `failed`: there was no
 * answer, or one that says little. `local`: this machine could not ask, which says nothing of the endpoint.
 */
export interface Outcome {
  readonly kind: 'healthy' | 'unhealthy' | 'failed' | 'local'
  /** Empty: it is healthy. */
  readonly trouble: string
}

export const HEALTHY: Outcome = { kind: 'healthy', trouble: '' }

/** Checks one endpoint, one check at a time. */
export interface Checker {
  /** `done` is called once, later, within `timeoutMs`, unless `stop` was called before. */
  check(timeoutMs: number, done: (outcome: Outcome) => void): void
  /** Gives up what runs, and closes the connection that was kept. */
  stop(): void
}

export interface CheckerDeps {
  readonly clock: Clock
  readonly dial: Dial
  /** `https`: the dial is one by TLS. */
  readonly scheme: 'http' | 'https'
  readonly http1: Pick<Codec, 'connect'>
  readonly http2: Pick<Codec, 'connect'>
  readonly kept: KeptConnections
}

/** Connections that stay open between checks: a bound for all of them. */
export interface KeptConnections {
  take(): boolean
  give(): void
}

/** For a check that happens once. */
export const KEEP_NONE: KeptConnections = { take: () => false, give() {} }

export function keptConnections(most: number): KeptConnections {
  let left = most
  return {
    take() {
      if (left === 0) return false
      left--
      return true
    },
    give() {
      left++
    },
  }
}

export type MakeChecker = (address: AddressSpec) => Checker

/** `code`: of the system. */
export function dialFailed(code: string): Outcome {
  return isLocalTrouble(code)
    ? { kind: 'local', trouble: `this machine cannot connect: ${code}` }
    : { kind: 'failed', trouble: code }
}

export function tooLate(timeoutMs: number): Outcome {
  return { kind: 'failed', trouble: `no answer within ${timeoutMs} ms` }
}
