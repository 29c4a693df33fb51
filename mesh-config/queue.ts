import * as z from 'zod'
import { duration, headerName, setting } from './values.ts'

/** What becomes of requests over `limits.requests`, or over an enforced `concurrency`: they wait, the important first. */

export const queue = z.strictObject({
  requests: setting(
    z.int().min(1).max(100_000).default(100),
    'How many wait in each data thread; of more the lowest priority is refused with 503 UO.',
    'more than that cannot be served in time anyway',
  ),
  interval: setting(
    duration('refused').default('100ms'),
    'How long a request waits at most, while the queue has been empty within the last interval.',
    'as Facebook runs it: a burst is over by then',
  ),
  target: setting(
    duration('refused').default('10ms'),
    'How long a request waits at most, while the queue has not been empty for an interval. The newest is served first then.',
    'as in CoDel, with the tick of the timers of this proxy: a queue that does not empty makes answers late and serves no more of them',
  ),
})

const level = z.enum(['high', 'normal', 'low'])

export const priority = z.strictObject({
  header: setting(
    headerName.optional(),
    'The header by which a caller says it: high, normal or low. Without it: callers have no say.',
  ),
  default: setting(level.default('normal'), 'The priority of other requests.', 'most requests are alike'),
})

export const routePriority = level
