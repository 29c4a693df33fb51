import type { RetryCondition } from '../../mesh-config/snapshot.ts'
import type { AnotherTry, Because } from '../core/another-try.ts'

/** How a try ended, as far as the words need it. */
export interface Ending {
  readonly another: AnotherTry
  readonly condition: RetryCondition | null
  readonly delayMs: number
  readonly status: number
  readonly grpcStatus: number
}

/**
 * Why there was, or was not, another try, in words; empty: the question did not come up. `made`: tries that count
 * against `retries.attempts`, this one included.
 */
export function anotherTryText(ending: Ending, made: number): string {
  const { again, because } = ending.another
  return because === '' ? '' : `${again ? 'yes' : 'no'}: ${words[because as Because](ending, made)}`
}

const words: Readonly<Record<Because, (ending: Ending, made: number) => string>> = {
  '': () => '',
  condition: ({ condition }) => String(condition),
  'stale-connection': () => 'an idle connection was closed under it; again on a fresh one',
  goaway: () => 'the endpoint went away before it looked at the request',
  'not-in-policy': ({ condition }) => `${condition} is not in retries.on`,
  final: () => 'this failure is final',
  'body-gone': () => 'part of the request body is gone',
  'may-have-acted': () => 'the endpoint may have acted on it and the method is not idempotent',
  'not-replayable': ({ grpcStatus, condition, status }) =>
    `${grpcStatus > 0 ? condition : status} to a request that cannot be sent again`,
  attempts: (_, made) => `that was attempt ${made} of ${made}`,
  budget: () => 'the retry budget is spent',
  'is-retry': () => 'it came as a retry, and those may use half of the retry budget, which is spent',
  overloaded: () =>
    'the answer says that it was tried as often as it may be, or is over limits (x-outrigger-overloaded)',
  'no-time': () => 'what is left of the time is too short for another try',
  'other-runs': () => 'another try runs already',
  'retries-full': () => 'as many retries as `limits.retries` allows are under way',
  pushback: () => 'the endpoint wants no other try (grpc-retry-pushback-ms)',
  'pushback-too-long': ({ delayMs }) =>
    `the endpoint wants to wait ${delayMs} ms, which is longer than the request may take`,
}
