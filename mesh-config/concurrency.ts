import * as z from 'zod'
import { duration, setting } from './values.ts'

/** Adaptive concurrency: how many requests a service takes well, found out by the time its answers take. */

const minRtt = {
  interval: setting(
    duration('refused').default('60s'),
    'How often the time of an unloaded answer is found out anew.',
    'as in Envoy: what a deployment changed is known within a minute',
  ),
  requests: setting(
    z.int().min(1).max(10_000).default(50),
    'Of how many answers. With `enforce` half as many requests as usual are under way meanwhile.',
    'as in Envoy: enough for a median',
  ),
  jitter: setting(
    z.number().min(0).max(100).default(15),
    'The interval is longer by up to this many percent.',
    'as in Envoy: the sidecars of many callers must not do it at once',
  ),
}

const fields = {
  mode: setting(
    z.enum(['advise', 'enforce']).default('advise'),
    '`advise`: the limit is computed and shown, and refuses nothing. `enforce`: more requests are refused with 503 UO, or wait (`queue`).',
    'a limit that nobody has looked at must not refuse requests',
  ),
  minLimit: setting(
    z.int().min(1).max(1_000_000).default(3),
    'The limit is never lower.',
    'as in Envoy: with fewer nothing could be measured',
  ),
  maxLimit: setting(
    z.int().min(1).max(1_000_000).default(1000),
    'The limit is never higher; it begins here.',
    'as in Envoy',
  ),
  buffer: setting(
    z.number().min(0).max(1000).default(25),
    'Answers may take so many percent longer than unloaded ones before the limit is lowered.',
    'as in Envoy: times vary without any load',
  ),
  percentile: setting(
    z.number().min(1).max(99).default(50),
    'Which of the times of a window is compared.',
    'as in Envoy: one slow endpoint, or a few slow requests, do not move a median',
  ),
  update: setting(
    duration('refused').default('100ms'),
    'How long a window is, at least.',
    'as in Envoy: an overload is answered within a second',
  ),
  minRtt: setting(z.strictObject(minRtt).prefault({}), 'The time of an unloaded answer.'),
}

export const concurrency = z.strictObject(fields)
