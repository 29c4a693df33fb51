import type { DecisionRecord } from '../core/decision.ts'
import { type Failure, failureNamed, failures } from '../core/failure.ts'
import { hadIt } from './retry.ts'

/** What the failures of a sidecar mean to the one before it; the application is its own. */
const words: Readonly<Record<string, string>> = {
  'connect-refused': 'nothing listens at its application',
  'connect-timeout': 'its application takes no connection in time',
  'connect-failed': 'its application cannot be reached',
  'no-healthy-upstream': 'it has no endpoint of its application',
  'pool-overflow': 'all connections to its application are in use',
  'concurrency-limit': 'its application has as many requests as it takes well',
  'breaker-open': 'the breaker of its application is open',
  'pending-timeout': 'no connection to its application became free in time',
  'reset-before-response': 'its application closed the connection before it answered',
  'stream-reset': 'its application reset the stream before it answered',
}

/** The application was asked, and has gone before anything came. */
function isGone(failure: Failure | null): boolean {
  return failure !== null && failure.replay === 'maybe-sent' && failure.condition === 'reset-before-response'
}

/**
 * The failure that the sidecar before us is told with an answer of our own, so that it may send the request elsewhere:
 * one with replay safety `unsent` where no application has had anything of the request in any attempt; else the one by
 * which the application went away, where none has answered. Empty: it is told nothing.
 */
export function failureToTell(failure: Failure | null, { attempts, tries }: DecisionRecord): string {
  if (failure === null || (failure.replay !== 'unsent' && !isGone(failure))) return ''
  let told = failure
  for (let i = 0; i < attempts; i++) {
    const attempt = tries[i]!
    if (!hadIt(attempt)) continue
    if (!isGone(attempt.failure)) return ''
    told = attempt.failure!
  }
  return told.failure
}

/** What an attempt failed by whose answer the sidecar of the endpoint made itself; null: it is an answer like any other. */
export function toldFailure(name: string | undefined): Failure | null {
  const told = name === undefined || name === '' ? null : failureNamed(name)
  if (told === null) return null
  return told.replay === 'unsent' ? failures.applicationUnreachable : isGone(told) ? told : null
}

/** The detail of such an attempt. */
export function toldBy(endpoint: string, name: string): string {
  return `the sidecar at ${endpoint} answered: ${words[name] ?? 'nothing reached its application'} (${name})`
}
