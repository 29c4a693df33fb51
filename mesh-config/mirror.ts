import * as z from 'zod'
import { duration, label, serviceName, setting, size } from './values.ts'

/** `mirror` of a service or a route: copies of requests, whose answers nobody waits for. */

const map = z.strictObject({
  service: setting(serviceName().optional(), 'The service that gets the copies. Without it: this one.'),
  subset: setting(label('a subset name').optional(), 'Only the endpoints of this subset. Without it: all.'),
  percent: setting(
    z.number().min(0).max(100).default(100),
    'The share of the requests that is copied.',
    'a mirror that is written is meant',
  ),
  body: setting(
    size(0, 1024 ** 2, 'from 0 to 1MiB').default('64KiB'),
    'The longest request body that is copied; a request with a longer one is not mirrored.',
    'as `retries.replayBytes`: holds almost every API call',
  ),
  active: setting(
    z.int().min(1).max(100_000).default(100),
    'Copies under way at a time, for each data thread; further requests are not mirrored.',
    'a mirror that hangs holds so many requests, and no more',
  ),
  timeout: setting(
    duration('refused').default('15s'),
    'A copy whose answer has not ended by then is given up.',
    'as `timeouts.request`',
  ),
})

export const mirror = setting(
  z.union([z.literal('off').transform(() => null), map]).optional(),
  'Mirroring: a copy of each request goes to another service or subset, and its answer is dropped. The request itself neither waits for it nor fails by it. That of a route takes the place of that of its service; `off`: none. See docs/faults-and-mirroring.md.',
)

export type MirrorPolicy = z.output<typeof mirror>
