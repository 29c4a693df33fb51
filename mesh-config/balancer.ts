import * as z from 'zod'
import { anyText, duration, exactlyOne, headerName, setting, text } from './values.ts'

/** The `balancer` of a service policy (service.ts): how one of its endpoints is chosen. */

const balancerTypes = [
  'round_robin',
  'random',
  'least_request',
  'ip_hash',
  'ring_hash',
  'maglev',
  'peak_ewma',
  'response_time',
  'adaptive',
] as const

const cookieName = () => text(/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/, 'a cookie name', 'a name such as session')
const cookiePath = () => text(/^\/[^;\s]*$/, 'a path', 'a path that begins with /')

const hashForms = {
  header: setting(headerName.optional(), 'The value of this header.'),
  cookie: setting(
    z
      .union([
        cookieName().transform(name => ({ name, ttl: 'off' as const, path: '/' })),
        z.strictObject({
          name: setting(cookieName(), 'Its name.'),
          ttl: setting(
            z.union([z.literal('session'), duration()]).default('off'),
            'A request without the cookie gets one with this life time; `session`: as long as the browser session. `off`: none is made.',
            'only the application knows whether its callers keep cookies',
          ),
          path: setting(cookiePath().default('/'), 'The Path of a cookie that is made.'),
        }),
      ])
      .optional(),
    'The value of this cookie.',
  ),
  query: setting(anyText('a parameter').optional(), 'The value of this query parameter.'),
  path: setting(z.literal(true).optional(), 'The path, without the query.'),
  sourceIp: setting(z.literal(true).optional(), 'The address of the caller.'),
}

const hashSource = z
  .strictObject({
    ...hashForms,
    terminal: setting(
      z.boolean().default(false),
      'When it has a value, those after it are not used.',
      'all count together',
    ),
  })
  .superRefine(({ terminal: _terminal, ...forms }, context) => exactlyOne(forms, context, '{ header: x-user }'))

const slowStart = {
  window: setting(
    duration().default('off'),
    'The time in which the weight of an endpoint that is new, or was ejected, grows to its full value. `off`: at once.',
    'as in Envoy: only the operator knows whether a service has to warm up',
  ),
  aggression: setting(
    z.number().positive().max(100).default(1),
    'How the weight grows: 1 is evenly, more is faster at first.',
    'as in Envoy',
  ),
  minWeightPercent: setting(
    z.number().min(1).max(100).default(10),
    'The percentage of its weight with which an endpoint begins.',
    'as in Envoy: without some requests nothing warms up',
  ),
}

const zoneAware = {
  mode: setting(
    z.enum(['off', 'on']).default('on'),
    '`on`: requests stay in the zone of this sidecar while it has its share of the endpoints; what it cannot take goes to other zones, in proportion to what they can spare.',
    'without zones nothing changes; with zones, leaving one costs time and money',
  ),
  minEndpoints: setting(
    z.int().min(1).max(1_000_000).default(6),
    'With fewer endpoints zones have no effect (`min_cluster_size` of Envoy).',
    'as in Envoy: with fewer, one endpoint could get all requests of its zone',
  ),
}

const panic = {
  health: setting(
    z.number().min(0).max(100).default(50),
    'Below this percentage of healthy endpoints, failing ones are used too. 0: never. What the registry calls critical or in maintenance is never used.',
    'as in Envoy: when half of the endpoints fail their check, the check is more likely wrong than the service',
  ),
  ejected: setting(
    z.number().min(0).max(100).default(0),
    'Below this percentage of endpoints that are not ejected, ejections are ignored. 0: only where no other endpoint is left.',
    'an ejected endpoint has just failed real requests',
  ),
}

const sticky = {
  cookie: setting(
    cookieName().default('outriggerSticky'),
    'The cookie that remembers the endpoint.',
    'a name that no application uses',
  ),
  ttl: setting(
    duration().default('off'),
    'How long it lives. `off`: as long as the browser session.',
    'a session ends with the browser',
  ),
  path: setting(cookiePath().default('/'), 'Its Path.', 'the whole service'),
  cookieSecret: setting(
    text(
      /^.{16,1024}$/,
      'a secret',
      'sixteen random characters or more, from the environment: "${STICKY_SECRET}"',
    ).optional(),
    'The key of the cookies, so that they do not reveal addresses. Sidecars that answer for the same host need the same one. Without it: a secret of this sidecar, kept in its `state` folder.',
  ).meta({ secret: true }),
}

const hashing = 'ring_hash, maglev and ip_hash'

/** What to say where a number is not one that will do. */
function otherwise(what: string, fix: string): { params: { wrong: { what: string; fix: string } } } {
  return { params: { wrong: { what, fix } } }
}

export const balancer = {
  type: setting(
    z.enum(balancerTypes).default('least_request'),
    'How an endpoint is chosen; weights always count. `least_request` draws two and takes the one with fewer requests under way.',
    'it avoids slow endpoints without any settings',
  ),
  choices: setting(
    z.int().min(2).max(16).default(2),
    'How many endpoints `least_request`, `peak_ewma` and `adaptive` draw and compare.',
    'two choices have nearly all of the effect (Mitzenmacher 2001)',
  ),
  fullScan: setting(
    z.int().min(0).max(64).default(0),
    'With this many endpoints or fewer, those policies compare all of them instead of drawing.',
    'drawing keeps many callers from choosing the same endpoint',
  ),
  activeRequestBias: setting(
    z.number().min(0).max(10).default(1),
    'How much the requests under way count against the weight in `least_request`. 0: only the weight counts.',
    'as in Envoy',
  ),
  hashOn: setting(
    z.array(hashSource).max(16).default([]),
    'What `ring_hash` and `maglev` hash; all that have a value count together. A request without any value gets a random endpoint. `ip_hash` always takes the address of the caller, which behind an outbound listener is this machine.',
  ),
  minimumRingSize: setting(
    z.int().min(1).max(8_388_608).default(1024),
    'Points on the ring of `ring_hash`, at least; with few endpoints there are more, so that few keys move when endpoints change.',
    'as in Envoy',
  ),
  maximumRingSize: setting(
    z.int().min(1).max(8_388_608).default(1_048_576),
    'Points on the ring, at most.',
    'memory: the 8 Mi of Envoy are 64 MB a service',
  ),
  tableSize: setting(
    z
      .int()
      .min(2)
      .max(5_000_011)
      .refine(isPrime, otherwise('{value} is no prime number', 'write one, such as 65537'))
      .default(65_537),
    'Entries in the table of `maglev` and `ip_hash`, a prime.',
    'as in Envoy: hundreds of endpoints within one percent of their share',
  ),
  hashBalanceFactor: setting(
    z
      .int()
      .min(0)
      .max(10_000)
      .refine(
        factor => factor === 0 || factor >= 100,
        otherwise('{value} % of the mean cannot hold all requests', 'write 0, or 100 and more'),
      )
      .default(0),
    `Bounded load for ${hashing}: no endpoint gets more than this percentage of the mean load; further requests go to the next one. 0: no bound.`,
    'as in Envoy: with a bound, a key may leave its endpoint',
  ),
  decay: setting(
    duration('refused').default('10s'),
    'How fast measured latencies (`peak_ewma`, `response_time`, `adaptive`) and the rate of failures (those, `least_request` and bounded hashing) are forgotten.',
    'as in Finagle and Linkerd',
  ),
  defaultRtt: setting(
    duration('refused').default('30ms'),
    'The latency that an endpoint without measurements is taken to have.',
    'as in Linkerd: new endpoints are tried, not flooded',
  ),
  failurePenalty: setting(
    duration().default('5s'),
    'A failed request, and one answered with 429 or any 5xx, counts as one that took this long, or as long as its Retry-After says, at most 5 minutes. Policies that count requests under way count it as under way for that time. `off`: as long as it took.',
    'as in the load biaser of Linkerd: an endpoint that fails fast must not look fast',
  ),
  slowStart: setting(
    z.strictObject(slowStart).prefault({}),
    `Endpoints that are new or were ejected get their share step by step; not for ${hashing}.`,
  ),
  zoneAware: setting(z.strictObject(zoneAware).prefault({}), `Prefers endpoints of the own zone; not for ${hashing}.`),
  overprovisioning: setting(
    z.number().min(1).max(1000).default(1.4),
    'A priority takes all requests while its healthy share times this is at least 1; the missing part goes to the next priority. 1000: all requests while a single endpoint is healthy, as the failover of Consul.',
    'as in Envoy: full load down to 72 % healthy endpoints',
  ),
  panic: setting(z.strictObject(panic).prefault({}), 'When so few endpoints are healthy that health is ignored.'),
  sticky: setting(
    z
      .union([
        z.literal(false),
        z.literal(true).transform(() => z.strictObject(sticky).parse({})),
        z.strictObject(sticky),
      ])
      .prefault(false),
    'Sticky sessions: a cookie keeps a caller at its endpoint as long as it may be used. `true`, or a map.',
    'only the application knows whether its sessions need it',
  ),
  subsetSize: setting(
    z.int().min(0).max(1_000_000).default(0),
    'Use only so many endpoints, drawn at random once for the life of this sidecar, so that thousands of endpoints do not mean thousands of connections; as many again of each priority and each subset. 0: all.',
    'fewer than all is right only with many callers',
  ),
}

/** Trial division: sizes end at five million. */
function isPrime(n: number): boolean {
  for (let divisor = 2; divisor * divisor <= n; divisor++) if (n % divisor === 0) return false
  return n >= 2
}
