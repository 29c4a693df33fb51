import * as z from 'zod'
import { duration, setting } from './values.ts'

/** The breaker of a service: nothing is sent to it for a while after too many failures or slow answers. */

const fields = {
  errorPercent: setting(
    z.number().min(1).max(100).default(50),
    'It opens when this share of the answers in the window are failures (502, 503, 504, no connection, a reset, a timeout; of gRPC UNAVAILABLE and DEADLINE_EXCEEDED).',
    'as in Hystrix and resilience4j: below that retries and outlier detection do better',
  ),
  slowCall: setting(
    duration().default('off'),
    'An answer whose head took longer is slow. `off`: none is.',
    'only the operator knows how slow is too slow',
  ),
  slowPercent: setting(
    z.number().min(1).max(100).default(50),
    'It opens when this share of the answers in the window are slow.',
    'as errorPercent',
  ),
  window: setting(
    duration('refused').default('10s'),
    'How long an answer counts.',
    'as in Hystrix: long enough for a quiet service, short enough to open within seconds',
  ),
  volume: setting(
    z.int().min(1).max(1_000_000).default(20),
    'With fewer answers in the window it stays closed.',
    'as in Hystrix: of a few answers chance may make half of them failures',
  ),
  open: setting(
    duration('refused').default('5s'),
    'How long it stays open the first time; each further time in a row twice as long.',
    'as in Hystrix: an instance restarts in about that time',
  ),
  maxOpen: setting(
    duration('refused').default('1m'),
    'It never stays open longer.',
    'a service that is back gets requests again within a minute',
  ),
  jitter: setting(
    z.number().min(0).max(100).default(10),
    'Each time is longer or shorter by up to this many percent.',
    'the sidecars of many callers must not probe at the same moment',
  ),
  probes: setting(
    z.int().min(1).max(100).default(3),
    'How many requests probe once that time is over. When all are answered it closes, unless as large a share of them as above failed or were slow: then it opens again.',
    'one request may succeed by chance, and ten are many for a service that is just coming back',
  ),
}

export const breaker = z.strictObject(fields)
