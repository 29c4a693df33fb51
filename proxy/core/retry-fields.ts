/**
 * Fields by which sidecars tell each other of retries and deadlines. All of them only take away: a request that says to
 * be a retry is tried less often, an answer that says so is not tried again, a deadline only shortens. So they are
 * believed of anybody, and who makes them up has the damage.
 */

/** Of a request: which try of its caller's sidecar it is, from 2 on. */
export const ATTEMPT = 'x-outrigger-attempt'
/** Of an answer: what was asked for was tried as often as it may be, or is over its limits. */
export const OVERLOADED = 'x-outrigger-overloaded'
/** Of a request: milliseconds for which its caller waits for the answer, under Envoy's name. */
export const EXPECTED = 'x-envoy-expected-rq-timeout-ms'
export const IDEMPOTENCY_KEY = 'idempotency-key'
