import type { RetryCondition } from '../../../mesh-config/snapshot.ts'
import type { ServiceOverrides } from '../../support/specs.ts'

/** Policies that a storm is measured with. Those of others are simulated by ours without what bounds it. */

const ON: readonly RetryCondition[] = [
  'connect-failure',
  'refused-stream',
  'reset-before-response',
  'per-try-timeout',
  'gateway-error',
]
const NO_BUDGET = { percent: 100, minPerSecond: 1_000_000 }
/** Of Envoy's outlier detection as it comes: 10 % of two are none. */
const NOT_EJECTED = { consecutiveGatewayFailures: 0 }

const THREE_ATTEMPTS = { retries: { on: ON, attempts: 3 } }

/** What sidecars tell each other of retries needs ids that applications pass on; the proxies of others tell nothing. */
export const POLICIES = {
  'three attempts at each hop, nothing bounds them': {
    policy: { retries: { on: ON, attempts: 3, budget: NO_BUDGET }, outliers: NOT_EJECTED },
    passesOn: false,
  },
  'Envoy: num_retries 1 (its default), no retry budget': {
    policy: { retries: { on: ON, attempts: 2, budget: NO_BUDGET }, outliers: NOT_EJECTED },
    passesOn: false,
  },
  'Outrigger as it comes': { policy: {}, passesOn: true },
  'Outrigger, three attempts, 503 tried again too': { policy: THREE_ATTEMPTS, passesOn: true },
  'the same, and applications pass no ids on': { policy: THREE_ATTEMPTS, passesOn: false },
} as const satisfies Record<string, { readonly policy: ServiceOverrides; readonly passesOn: boolean }>

/** For a store that answers late: each try has 500 ms. */
const timeouts = { perTryMs: 500, requestMs: 3000 }

export const RETRIED_THREE_TIMES = {
  'Envoy: num_retries 3, no retry budget': {
    timeouts,
    retries: { on: ON, attempts: 4, budget: NO_BUDGET },
    outliers: NOT_EJECTED,
  },
  'Envoy: num_retries 1 (its default), no retry budget': {
    timeouts,
    retries: { on: ON, attempts: 2, budget: NO_BUDGET },
    outliers: NOT_EJECTED,
  },
  'Outrigger, four attempts': { timeouts, retries: { on: ON, attempts: 4 } },
} as const satisfies Record<string, ServiceOverrides>
