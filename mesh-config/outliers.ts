import * as z from 'zod'
import { duration, setting } from './values.ts'

const minEndpoints = (least: number, why: string) =>
  setting(
    z.int().min(2).default(least),
    'With fewer endpoints that had `minRequests` in the interval, none is ejected.',
    why,
  )

const minRequests = (least: number) =>
  setting(
    z.int().min(1).default(least),
    'An endpoint with fewer requests in the interval, over all data threads, is not looked at.',
    'as in Envoy: the share of a few requests is chance',
  )

const successRate = {
  factor: setting(
    z.number().min(0).max(100).default(1.9),
    'An endpoint is ejected when its success rate is below the mean of all by more than this many standard deviations.',
    'as in Envoy: of five endpoints, the one that differs from four equal ones is 2 deviations away',
  ),
  minEndpoints: minEndpoints(5, 'as in Envoy: of four endpoints none can be more than 1.73 deviations from the mean'),
  minRequests: minRequests(100),
  minFailurePercent: setting(
    z.number().min(0).max(100).default(5),
    'An endpoint that fails less than this share of its requests is not ejected, however well the others do.',
    'Envoy has no such bound, and ejects an endpoint at 99.9 % among others at 100 %',
  ),
}

const failurePercentage = {
  percent: setting(
    z.number().min(1).max(100).default(85),
    'An endpoint that fails at least this share of its requests is ejected.',
    'as in Envoy: what fails so often is broken, and not merely worse than others',
  ),
  minEndpoints: minEndpoints(
    2,
    'the 5 of Envoy leave small services out, and maxEjectedPercent keeps enough of them already',
  ),
  minRequests: minRequests(50),
}

const latency = {
  factor: setting(
    z.number().min(1).max(1000).default(3),
    'An endpoint is ejected when its 95th percentile is more than this many times the median of that of the others.',
    'what is three times as slow as its peers has a reason of its own, such as a full disk or a neighbour',
  ),
  minExcess: setting(
    duration('none').default('50ms'),
    'And when it is slower by at least this time.',
    '6 ms beside 2 ms is no reason to lose an endpoint',
  ),
  minEndpoints: minEndpoints(3, 'of two endpoints nothing says whether one is slow or the other one fast'),
  minRequests: minRequests(100),
}

/** Outlier detection of a service, each key with a default. */
export const outliers = {
  mode: setting(
    z.enum(['enforce', 'shadow']).default('enforce'),
    '`shadow`: no endpoint is ejected; what would have been is counted, logged and shown in /endpoints.',
    'an endpoint that fails is to be left alone; `shadow` is for trying out other numbers',
  ),
  consecutive5xx: setting(
    z.int().min(0).default(0),
    'An endpoint is ejected after so many 5xx answers in a row, 500 included. 0: never.',
    'Envoy has 5; but a 500 is mostly an error for one kind of request, and a caller that sends only those would eject every instance there may be',
  ),
  consecutiveGatewayFailures: setting(
    z.int().min(0).default(5),
    'An endpoint is ejected after so many failures in a row: 502, 503, 504, and failures of local origin (see `consecutiveLocalFailures`). 0: never.',
    'as in Envoy: a single bad answer may be chance',
  ),
  consecutiveLocalFailures: setting(
    z.union([z.literal('together'), z.int().min(0)]).default('together'),
    'Failures of local origin are those without an answer: no connection, a reset, a timeout. `together`: they count as gateway failures and as 5xx. A number: they are counted apart, and so many in a row eject an endpoint. 0: they never do.',
    'as in Envoy; an instance that dies gives resets, refusals and 503 by turns, which two counts of five would take ten requests to notice',
  ),
  interval: setting(
    duration('refused').default('10s'),
    'How often `successRate`, `failurePercentage` and `latency` compare the endpoints, by what came since the last time.',
    'as in Envoy',
  ),
  successRate: setting(
    z.union([z.literal('off'), z.strictObject(successRate)]).default('off'),
    'Ejects endpoints whose success rate is far below that of the others. `{}`: with these numbers.',
    'it needs five endpoints, and punishes whoever gets the difficult requests',
  ),
  failurePercentage: setting(
    z.union([z.literal('off'), z.strictObject(failurePercentage)]).default('off'),
    'Ejects endpoints that fail most of their requests, without looking at the others. `{}`: with these numbers.',
    'as in Envoy',
  ),
  latency: setting(
    z.union([z.literal('off'), z.strictObject(latency)]).default('off'),
    'Ejects endpoints that are much slower than the others. `{}`: with these numbers.',
    'the balancer sends a slow endpoint less already, without taking it out of use',
  ),
  baseEjection: setting(
    duration('refused').default('10s'),
    'How long the first ejection lasts; each further one in a row lasts longer.',
    'an instance that restarts is back after about ten seconds; the 30 s of Envoy leave it idle',
  ),
  maxEjection: setting(
    duration('refused').default('5m'),
    'No ejection lasts longer, but for `jitter`.',
    'as in Envoy: an endpoint that comes back is in use again within minutes',
  ),
  jitter: setting(
    duration('none').default('0s'),
    'Up to so much is added to each ejection, by chance.',
    'as in Envoy; each sidecar sends one request to what comes back, which is no herd',
  ),
  maxEjectedPercent: setting(
    z.number().min(0).max(100).default(50),
    'At most this share of the endpoints of the service, and of each subset, is ejected at a time. Of two or more, one may always be ejected, the last never. 0: none is.',
    'the 10 % of Envoy eject nothing with fewer than ten endpoints; with 50 % one of two can be ejected, and half the service always stays',
  ),
}
