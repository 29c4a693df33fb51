import * as z from 'zod'
import { duration, setting } from '../values.ts'

const rollout = z.strictObject({
  steps: setting(
    z.array(z.number().min(0.01).max(100)).min(1).max(20).default([5, 25, 100]),
    'Shares of the proxies in percent, growing. What passes the last one below 100 is in force for all.',
    'a mistake reaches one proxy in twenty first, and most of what is left to see shows at a quarter',
  ),
  interval: setting(
    duration('refused').default('1m'),
    'How long each step is watched at least.',
    'long enough for a few hundred requests of most services',
  ),
  minRequests: setting(
    z.number().int().min(1).default(100),
    'The requests that each group must have had before the groups are compared. With fewer, a step waits for up to ten intervals.',
    'fewer tell nothing about an error ratio of one percent',
  ),
  maxErrorIncrease: setting(
    z.number().min(0).max(100).default(1),
    'How many percentage points more of the requests may fail at proxies with the new version than at the others.',
    'groups of proxies differ by less from day to day',
  ),
  maxP99Increase: setting(
    z.number().min(0).max(10_000).default(50),
    'By how many percent the p99 may be higher than that of the others; less than 10 ms more is never too much.',
    'the p99 of a minute varies by a third without a cause',
  ),
})

/** The `rollout` of a policy document: keys for the agent only, spread into the schema (policy-document.ts). */
export const rolloutKeys = {
  rollout: setting(
    rollout.optional(),
    'A new version of this document goes to a share of the proxies first, and on step by step while they do as well as the others. Without it: to all at once.',
  ),
}

export type RolloutPolicy = z.output<typeof rollout>
