import type { Exchange } from '../core/exchange.ts'
import type { GrpcDeadline } from '../core/route.ts'

/** Milliseconds in each unit that gRPC has. */
const UNITS: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 }
const MALFORMED = -1
/** More than eight digits are not allowed. */
const MOST = 99_999_999
/** Ten years: what is longer would be no number that a timer takes. */
const LONGEST_MS = 3.2e11
/** A timer may be a tick late, here and at the caller, and what comes from it was on its way. */
export const DEADLINE_SLACK_MS = 10

/** A `grpc-timeout` in milliseconds; -1: malformed. */
export function parseGrpcTimeout(value: string): number {
  const [, digits, unit] = /^(\d{1,8})([HMSmun])$/.exec(value) ?? []
  return digits === undefined ? MALFORMED : Number(digits) * UNITS[unit!]!
}

/**
 * In the finest unit whose digits hold it, and rounded down: an endpoint is never promised more than there is. At least
 * the least there is, because 0 may mean no limit.
 */
export function formatGrpcTimeout(milliseconds: number): string {
  const micros = Math.max(1, Math.floor(milliseconds * 1000))
  if (micros <= MOST) return `${micros}u`
  const millis = Math.floor(milliseconds)
  if (millis <= MOST) return `${millis}m`
  const seconds = Math.floor(milliseconds / 1000)
  return seconds <= MOST ? `${seconds}S` : `${Math.min(MOST, Math.floor(milliseconds / 3_600_000))}H`
}

/** Takes the caller's deadline up. Returns what is wrong with it; empty: nothing. */
export function beginDeadline(exchange: Exchange, policy: GrpcDeadline): string {
  const { headers } = exchange.request
  const value = headers.get('grpc-timeout')
  if (value === undefined) return ''
  const asked = parseGrpcTimeout(value)
  if (asked === MALFORMED) return 'grpc-timeout is not one to eight digits and a unit of H, M, S, m, u, n'
  const capped = policy.maxMs === 0 ? asked : Math.min(asked, policy.maxMs)
  const timeoutMs = Math.min(LONGEST_MS, Math.max(0, capped - policy.offsetMs))
  exchange.deadlineAt = exchange.startedAt + timeoutMs
  if (timeoutMs !== asked) headers.set('grpc-timeout', formatGrpcTimeout(timeoutMs))
  return ''
}

/**
 * What is left of the deadline, as an endpoint is told it. Empty: what the head says holds, because there is none or
 * hardly any time has passed, which is nearly always.
 */
export function deadlineLeft({ deadlineAt, startedAt }: Exchange, now: number): string {
  return deadlineAt === 0 || now - startedAt < 1 ? '' : formatGrpcTimeout(deadlineAt - now)
}

/** A caller that gives up just at its deadline has run into it. */
export function isPastDeadline({ deadlineAt }: Exchange, now: number): boolean {
  return deadlineAt !== 0 && now >= deadlineAt - DEADLINE_SLACK_MS
}
