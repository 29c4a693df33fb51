import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { type Compiled, compile } from '../../mesh-config/compile.ts'
import { diffAgents, diffBootstraps, diffDiscovery, diffSnapshots } from '../../mesh-config/diff.ts'
import { isAt } from '../../mesh-config/located.ts'
import { refused, withoutEffect } from '../../mesh-config/not-yet.ts'
import { type SchemaNode, schemaOf } from '../../mesh-config/schema.ts'
import { sidecarSchema } from '../../mesh-config/sidecar.ts'

/**
 * Every accepted key has an effect: its value reaches what the proxy runs on, and the proxy reads it there. A key that
 * has none stands in not-yet.ts.
 */

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }
type Path = readonly (string | number)[]

const valueForms: Json = {
  a: { exact: 'v' },
  b: { prefix: 'v' },
  c: { suffix: 'v', invert: true },
  d: { contains: 'v' },
  e: { regex: 'v' },
  f: { present: true },
  g: [
    { exact: 'v' },
    { prefix: 'v' },
    { suffix: 'v' },
    { contains: 'v' },
    { regex: 'v' },
    { present: true },
    { exact: 'w', invert: true },
  ],
}

const listenerTls: Json = { cert: 'a.pem', key: 'a.key', clientCa: 'ca.pem', mode: 'permissive', minVersion: '1.3' }
const match: Json = {
  path: { exact: '/a', ignoreCase: true },
  methods: ['GET'],
  headers: valueForms,
  query: valueForms,
}
const rateLimits: Json = [
  {
    name: 'a',
    rate: '9/s',
    burst: 9,
    by: [{ header: 'x-a' }, { identity: true }, { address: { ipv4: 24, ipv6: 48 } }],
    match,
    mode: 'shadow',
    keys: 9,
    tell: 'always',
  },
  { rate: '9/s', match: { path: { prefix: '/b' } } },
  { rate: '9/s', match: { path: { regex: '/c' } } },
]

const faults: Json = [
  {
    name: 'a',
    match,
    delay: { from: '1s', to: '9s', percent: 9 },
    abort: { status: 500, grpcStatus: 9, percent: 9 },
    throttle: { rate: '9KiB', percent: 9 },
    from: '2026-01-01T00:00:00Z',
    until: '2026-03-01T00:00:00Z',
    byHeaders: true,
    active: 9,
  },
  { match: { path: { prefix: '/b' } }, delay: { time: '9s' } },
  { match: { path: { regex: '/c' } }, delay: { time: '9s' } },
]

const mirror: Json = { service: 'b', subset: 'v2', percent: 9, body: '9KiB', active: 9, timeout: '9s' }

const listenerFields: Json = {
  rateLimits,
  protocol: 'http',
  timeouts: { head: '9s', body: '9s', idle: '9s', connectionAge: '9s', detect: '9s' },
  limits: { headers: 9, headBytes: '9KiB', targetBytes: '9KiB', connections: 9, streams: 9, buffer: '1MiB' },
  h2cUpgrade: true,
}

const timeouts = {
  request: '9s',
  perTry: '8s',
  idle: '9s',
  grpcTimeout: 'pass',
  grpcTimeoutMax: '9s',
  grpcTimeoutOffset: '1s',
  maxStream: '9m',
  deadline: 'begin',
  tunnel: '9s',
}
const retries = {
  on: ['5xx'],
  statuses: [409],
  headers: valueForms,
  methods: ['PATCH'],
  idempotencyKey: true,
  attempts: 3,
  replayBytes: '9KiB',
  backoff: { base: '9ms', max: '99ms' },
  hedge: { after: 'p90', minSamples: 99 },
}
const limits = {
  connections: 9,
  pending: 9,
  requests: 9,
  retries: 9,
  perEndpoint: { connections: 9, pending: 9, requests: 9 },
  responseHeaders: 9,
  responseHeadBytes: '9KiB',
  buffer: '1MiB',
}
const { perTry: _perTry, ...applicationTimeouts } = timeouts

const edits = { set: { 'x-a': '1' }, add: { 'x-b': '1' }, remove: ['x-c'] }
const headerEdits = { request: edits, response: edits }

const reply = { status: 299, headers: { 'x-a': '1' }, body: 'v' }

const queue = { requests: 9, interval: '9s', target: '9ms' }
const priority = { header: 'x-a', default: 'high' }
const concurrency = {
  mode: 'enforce',
  minLimit: 9,
  maxLimit: 99,
  buffer: 9,
  percentile: 9,
  update: '9s',
  minRtt: { interval: '9s', requests: 9, jitter: 9 },
}

const service: Json = {
  protocol: 'http',
  tls: { ca: 'ca.pem', cert: 'a.pem', key: 'a.key', serverName: 'a.example', minVersion: '1.3' },
  multiplex: true,
  hosts: ['a.example'],
  balancer: {
    type: 'maglev',
    choices: 3,
    fullScan: 3,
    activeRequestBias: 2,
    hashOn: [
      { header: 'x-a', terminal: true },
      { cookie: { name: 'a', ttl: '9s', path: '/a' } },
      { query: 'a' },
      { path: true },
      { sourceIp: true },
    ],
    minimumRingSize: 9,
    maximumRingSize: 99,
    tableSize: 101,
    hashBalanceFactor: 150,
    decay: '9s',
    defaultRtt: '9ms',
    failurePenalty: '9s',
    slowStart: { window: '9s', aggression: 2, minWeightPercent: 20 },
    zoneAware: { mode: 'on', minEndpoints: 9 },
    overprovisioning: 2,
    panic: { health: 30, ejected: 30 },
    sticky: { cookie: 'a', ttl: '9s', path: '/a', cookieSecret: '0123456789abcdef' },
    subsetSize: 9,
  },
  timeouts: { connect: '900ms', ...timeouts },
  retries: { ...retries, budget: { percent: 9, minPerSecond: 9 } },
  limits,
  breaker: {
    errorPercent: 9,
    slowCall: '9s',
    slowPercent: 9,
    window: '9s',
    volume: 9,
    open: '9s',
    maxOpen: '90s',
    jitter: 9,
    probes: 9,
  },
  fallback: { on: ['no-healthy-upstream'], reply },
  concurrency,
  queue,
  priority,
  connections: { age: '9s', keepAlive: '9s' },
  outliers: {
    mode: 'shadow',
    consecutive5xx: 9,
    consecutiveGatewayFailures: 9,
    consecutiveLocalFailures: 9,
    successRate: { factor: 3, minEndpoints: 4, minRequests: 9, minFailurePercent: 9 },
    failurePercentage: { percent: 90, minEndpoints: 4, minRequests: 9 },
    latency: { factor: 4, minExcess: '9ms', minEndpoints: 4, minRequests: 9 },
    jitter: '9s',
    interval: '9s',
    baseEjection: '9s',
    maxEjection: '90s',
    maxEjectedPercent: 30,
  },
  health: {
    http: {
      path: '/a',
      method: 'HEAD',
      host: 'a.example',
      protocol: 'http',
      headers: { 'x-a': '1' },
      expect: [204],
      retriable: [418],
      body: { contains: 'a' },
      maxResponseTime: '800ms',
    },
    port: 9,
    tls: false,
    interval: '9s',
    noTrafficInterval: '90s',
    jitter: 9,
    timeout: '900ms',
    unhealthyAfter: 9,
    healthyAfter: 9,
    reuseConnection: false,
  },
  upgrades: ['websocket'],
  rateLimits,
  faults,
  mirror,
  subsets: { v1: { version: 'v1' }, v2: { version: 'v2' } },
  subsetFallback: { subset: 'v1' },
  resolve: {
    service: 'c2',
    datacenter: 'dc3',
    default: 'v1',
    subsets: { v3: { filter: 'Service.Meta.version == v3', onlyPassing: true } },
    failover: {
      '*': [
        { service: 'd', datacenter: 'dc4', filter: 'Service.ID == d1', onlyPassing: true },
        { datacenter: 'dc5', subset: 'v1' },
      ],
    },
  },
  routes: [
    {
      name: 'one',
      match,
      to: [{ service: 'b', subset: 'v1', weight: 3.25, headers: headerEdits }],
      rewrite: '/c',
      headers: headerEdits,
      priority: 'high',
      fallback: { on: ['no-healthy-upstream'], to: { service: 'b', subset: 'v1' } },
      timeouts,
      retries,
      rateLimits,
      faults,
      mirror,
    },
    { match: { path: { prefix: '/b' } }, fallback: { on: ['no-healthy-upstream'], reply } },
    { match: { path: { regex: '/c' } } },
  ],
}

/** A document that says something at every place of the schema. */
const everything: Json = {
  service: 'a',
  admin: '127.0.0.1:9001',
  metrics: { listen: '127.0.0.1:9002', aliases: ['envoy'], expire: '9m' },
  adminHosts: ['a.example'],
  inbound: [
    {
      listen: '127.0.0.1:9003',
      tls: listenerTls,
      multiplex: true,
      forward: '127.0.0.1:9004',
      application: {
        protocol: 'http',
        timeouts: { connect: '900ms', ...applicationTimeouts },
        limits,
        concurrency,
        queue,
        priority,
        upgrades: ['websocket'],
      },
      ...listenerFields,
    },
  ],
  outbound: [
    {
      listen: '127.0.0.1:9005',
      service: 'a',
      connect: { services: true, hosts: ['a.example:443'] },
      ...listenerFields,
    },
  ],
  zone: 'z1',
  discovery: {
    endpoints: {
      a: [
        { address: '127.0.0.1:9006', weight: 2, priority: 1, zone: 'z1', meta: { version: 'v1' }, health: 'failing' },
      ],
    },
    files: { f: 'f.json' },
    dns: { d: { name: 'd.example:80', refresh: '9s', servers: ['127.0.0.1:53'], family: 'ipv4' } },
    consul: {
      address: 'https://a.example:8501',
      token: 'a-token',
      tokenFile: 'token',
      datacenter: 'dc1',
      tls: { ca: 'ca.pem', cert: 'cert.pem', key: 'key.pem', serverName: 'a.example' },
      maxStale: '9s',
      wait: '9s',
      addresses: 'lan',
      services: { c: { name: 'c1', datacenter: 'dc1', tags: ['a'], address: 'lan', failover: ['dc2'] } },
      onDemand: true,
      firstUse: '9s',
      idle: '9s',
    },
    massRemoval: 30,
    startTimeout: '9s',
  },
  register: {
    name: 'a',
    id: 'a1',
    address: '127.0.0.1',
    port: 9003,
    tags: ['a'],
    meta: { version: 'v1' },
    weights: { passing: 2, warning: 2 },
    check: { ttl: '9s', application: true, interval: '9s', timeout: '9s', deregisterAfter: '9m' },
  },
  dns: {
    listen: '127.0.0.1:9007',
    remote: true,
    servers: ['127.0.0.1:53'],
    domain: 'a.example',
    addresses: '240.64.0.0/10',
    ipv6: 'off',
    ttl: '9s',
    timeout: '9s',
    queries: 99,
    perClient: 9,
    connections: 9,
  },
  agent: 'unix:/run/a.sock',
  state: 'folder',
  workers: 2,
  buffers: '32MiB',
  overload: {
    heap: { closeAt: 80, shedAt: 90, refuseAt: 99 },
    lag: { closeAt: '2s', shedAt: '3s', refuseAt: '9s' },
    descriptors: { closeAt: 80, shedAt: 90, refuseAt: 99 },
  },
  accessLog: {
    mode: 'on',
    only: [{ errors: true, slowerThan: '9s', status: ['5xx'], sample: 9 }],
    format: 'text',
    template: '%START_TIME%',
    path: 'log',
  },
  flights: { recent: 9, failed: 9 },
  traces: {
    mode: 'on',
    sample: 9,
    failed: true,
    slow: true,
    propagate: ['w3c'],
    export: 'http://a.example:4318',
    headers: { 'x-a': 'a-key' },
    compression: 'none',
    timeout: '9s',
    batch: { spans: 9, delay: '9s', queue: 99 },
    attributes: { 'deployment.environment.name': 'a' },
  },
  drain: { delay: '9s', timeout: '9s' },
  services: { a: service, b: { fallback: { on: ['no-healthy-upstream'], to: { service: 'a', subset: 'v1' } } } },
}

/** Keys that only count in documents of another form than the one above. */
const otherForms: readonly (readonly [path: Path, value: Json])[] = [
  [['accessLog'], { mode: 'on', format: 'json', fields: { at: '%START_TIME%' } }],
  [['register', 'check'], { http: 'http://127.0.0.1:1/', interval: '9s', timeout: '9s' }],
  [['register', 'check'], { tcp: '127.0.0.1:1' }],
  [['register', 'check'], { grpc: '127.0.0.1:1' }],
  [['outbound'], [{ listen: '127.0.0.1:9005', transparent: true, passThrough: ['10.0.0.0/8'], opaquePorts: [25] }]],
  [['outbound'], [{ listen: '127.0.0.1:9005', transparent: true, firstByte: '9s' }]],
  [['inbound'], [{ listen: '127.0.0.1:9003', transparent: true, opaquePorts: [25] }]],
  [
    ['discovery'],
    {
      kubernetes: {
        address: 'https://a.example:6443',
        token: 'a-token',
        tokenFile: 'token',
        tls: { ca: 'ca.pem', cert: 'cert.pem', key: 'key.pem', serverName: 'a.example' },
        namespace: 'shop',
        clusterDomain: 'a.local',
        family: 'ipv4',
        services: { c: { name: 'c1', namespace: 'n1', port: 'http' } },
        onDemand: true,
        firstUse: '9s',
        idle: '9s',
      },
    },
  ],
  ...[
    { http: '/a', status: ['2xx'], interval: '9s', timeout: '900ms', failures: 9, successes: 9 },
    { grpc: 'a.A' },
    { command: ['a'] },
  ].map((check): readonly [Path, Json] => [
    ['inbound'],
    [{ listen: '127.0.0.1:9003', forward: '127.0.0.1:9004', application: { check } }],
  ]),
  ...[
    { http: { path: '/a', body: { regex: 'a' } } },
    { tcp: { send: 'a', receive: ['a', { hex: '00ff' }] } },
    { tcp: { send: { hex: '00ff' } } },
    { grpc: { service: 'a.A', authority: 'a.example', headers: { 'x-a': '1' } } },
  ].map((health): readonly [Path, Json] => [['services', 'a', 'health'], health]),
]

/** One of them is valid at any place, and says something else than what stands there. */
const others: readonly Json[] = [
  ...[
    true,
    false,
    7,
    4,
    503,
    '7s',
    '7MiB',
    '64MiB',
    '7KiB',
    'off',
    'on',
    'breaker',
    'low',
    'advise',
    'errors',
    'json',
    'tcp',
    'http2',
    'ring_hash',
    'istio',
    '404',
  ],
  ...['7m', 'enforce', 'any', 'wan', 'ipv6', 'passing', 'other', '/other', '127.0.0.1:7777', 'x.example:77'],
  ...['http://127.0.0.1:7/', 'unavailable', 'POST', 'abcdefghijklmnop', 103, 'b3', 'gzip'],
  ...[
    'http://127.0.0.1:7/',
    'unavailable',
    'POST',
    'abcdefghijklmnop',
    103,
    'Service.Meta.a == b',
    'x-other',
    '1.2',
    'strict',
  ],
  ...['240.0.0.0/12', 'fd00::/64', '7/m', 'enforce', 'never', '2026-02-01T00:00:00Z'],
]

const at = (value: Json | undefined, step: string | number): Json | undefined =>
  (value as Readonly<Record<string | number, Json>>)?.[step]

function replaced(value: Json, [step, ...rest]: Path, by: Json): Json {
  if (step === undefined) return by
  const inner = replaced(at(value, step) ?? null, rest, by)
  return Array.isArray(value)
    ? value.map((item, index) => (index === step ? inner : item))
    : { ...(value as object), [step]: inner }
}

const documents = [everything, ...otherForms.map(([path, value]) => replaced(everything, path, value))]

function* leaves(value: Json, path: Path = []): Generator<Path> {
  if (value === null || typeof value !== 'object') return yield path
  for (const [key, inner] of Object.entries(value)) yield* leaves(inner, [...path, Array.isArray(value) ? +key : key])
}

const isListed = (list: typeof refused, path: Path): boolean =>
  path.some((_step, index) => list.some(entry => isAt(entry.at, path.slice(0, index + 1))))

/** The keys of the schema that hold a value, with `*` for names and items. */
function* places(node: SchemaNode, path: readonly string[] = []): Generator<readonly string[]> {
  const forms = [node, ...(node.anyOf ?? [])]
  for (const form of forms) {
    for (const [key, child] of Object.entries(form.properties ?? {})) yield* places(child, [...path, key])
    if (form.items !== undefined) yield* places(form.items, [...path, '*'])
    if (typeof form.additionalProperties === 'object') yield* places(form.additionalProperties, [...path, '*'])
  }
  const isLeaf = forms.every(
    form => form.properties === undefined && form.items === undefined && typeof form.additionalProperties !== 'object',
  )
  if (isLeaf) yield path
}

function compiled(document: Json): Compiled | null {
  const parsed = sidecarSchema.safeParse(document)
  return parsed.success ? compile(parsed.data) : null
}

const content = ({ bootstrap, discovery, agent, snapshot }: Compiled): string =>
  JSON.stringify({ bootstrap, discovery, agent, snapshot: { ...snapshot, version: '' } })

/** What comes of the document when another value stands at a place: the first that is valid and makes a difference. */
function changed(document: Json, path: Path): { before: Compiled; after: Compiled } | null {
  const before = compiled(document)!
  const tried: readonly (readonly [Path, Json])[] = [
    ...others.map((other): [Path, Json] => [path, other]),
    // `path: true`, `sourceIp: true` and `identity: true` have no other value: something else counts in their place.
    [path.slice(0, -1), { header: 'x-other' }],
  ]
  for (const [place, other] of tried) {
    const after = compiled(replaced(document, place, other))
    if (after !== null && content(after) !== content(before)) return { before, after }
  }
  return null
}

/** Read by `outrigger intercept` alone: test/intercept/plan.test.ts sees its effects. */
const OF_COMMANDS = 'intercept'

describe('every accepted key', () => {
  test('is in the documents of this test', () => {
    const written = documents.flatMap(document => [...leaves(document)])
    const missing = [...places(schemaOf('sidecar'))].filter(
      place =>
        !isListed(refused, place) && place[0] !== OF_COMMANDS && !written.some(path => isAt(place.join('.'), path)),
    )
    expect(missing.map(place => place.join('.'))).toEqual([])
  })

  const all = documents.flatMap((document, index) =>
    [...leaves(document)]
      .filter(path => index === 0 || path[0] === otherForms[index - 1]![0][0])
      .map(path => ({ document, path, name: path.join('.') })),
  )

  // The TTL counts for a heartbeat, the two times for other checks.
  const countsElsewhere = (name: string, document: Json) =>
    document === everything
      ? /^register\.check\.(interval|timeout)$/.test(name)
      : !/^register\.check\.(http|tcp|grpc|interval|timeout)$/.test(name)

  const counting = all.filter(
    ({ path, name, document }) => !countsElsewhere(name, document) && !isListed(withoutEffect, path),
  )

  test.each(counting)('changes what the proxy runs on, and a reload says so: $name', ({ document, path }) => {
    const change = changed(document, path)
    expect(change).not.toBeNull()
    const { before, after } = change!
    expect([
      ...diffBootstraps(before.bootstrap, after.bootstrap),
      ...diffDiscovery(before.discovery, after.discovery),
      ...diffAgents(before.agent, after.agent),
      ...diffSnapshots(before.snapshot, after.snapshot),
    ]).not.toEqual([])
  })

  test.each(all.filter(({ path }) => isListed(withoutEffect, path)))('or is known to have none: $name', each => {
    expect(changed(each.document, each.path)).toBeNull()
  })
})

describe('every field of what the proxy runs on', () => {
  const root = join(import.meta.dirname, '../..')
  const code = readdirSync(join(root, 'proxy'), { recursive: true, encoding: 'utf8' })
    .filter(name => name.endsWith('.ts'))
    .map(name => readFileSync(join(root, 'proxy', name), 'utf8').replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, ''))
    .join('\n')
  const files = readdirSync(join(root, 'mesh-config')).filter(
    file => file === 'snapshot.ts' || file.endsWith('-spec.ts'),
  )
  const fields = files.flatMap(file =>
    [...readFileSync(join(root, 'mesh-config', file), 'utf8').matchAll(/readonly (\w+):/g)].map(([, name]) => name!),
  )

  test('are found', () => {
    expect(fields.length).toBeGreaterThan(150)
  })

  // Read as `spec.name`, taken out as `{ name }`, or listed as 'name'.
  test.each([...new Set(fields)])('is read in proxy/: %s', name => {
    expect(code).toMatch(new RegExp(`[.]${name}\\b|[{,]\\s*${name}\\s*[,:}]|'${name}'`))
  })
})
