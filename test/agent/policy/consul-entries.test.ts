import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { type Entries, type Entry, type Kind, kinds } from '../../../agent/policy/consul-entries/entries.ts'
import { fields, ruleOf } from '../../../agent/policy/consul-entries/fields.ts'
import { translate } from '../../../agent/policy/consul-entries/translate.ts'
import type { PolicyDocument } from '../../../agent/policy/source.ts'
import { compilePolicy, readPolicy } from '../../../mesh-config/policy-document.ts'

type Written = { readonly Kind: Kind; readonly Name: string } & Readonly<Record<string, unknown>>

function entriesOf(written: readonly Written[]): Entries {
  const byKind = Object.fromEntries(kinds.map(kind => [kind, new Map<string, Entry>()]))
  for (const entry of written) byKind[entry.Kind]!.set(entry.Name, { ModifyIndex: 7, ...entry } as unknown as Entry)
  return byKind as unknown as Entries
}

const translated = (...written: readonly Written[]) => translate(entriesOf(written), 'dc1')

function documentFor(service: string, documents: readonly PolicyDocument[]): PolicyDocument {
  return documents.find(document => document.service === service)!
}

function policyFor(service: string, ...written: readonly Written[]): unknown {
  const document = documentFor(service, translated(...written))
  expect(document.errors).toEqual([])
  return JSON.parse(document.text)
}

async function problemsOf({ service, at, text }: PolicyDocument): Promise<string[]> {
  const { root, problems } = await readPolicy(service, at, text, null)
  if (root === null) return problems.map(({ message }) => message)
  const compiled = compilePolicy(service, [root])
  return compiled.ok ? [] : compiled.problems.map(({ message }) => message)
}

const http = (Name: string): Written => ({ Kind: 'service-defaults', Name, Protocol: 'http' })

describe('service-router', () => {
  test('the examples of its page: path, header, query, methods, rewrite, retries', async () => {
    const written: Written[] = [
      http('web'),
      http('admin'),
      http('cart'),
      {
        Kind: 'service-router',
        Name: 'web',
        Routes: [
          { Match: { HTTP: { PathPrefix: '/admin' } }, Destination: { Service: 'admin' } },
          {
            Match: { HTTP: { Header: [{ Name: 'x-debug', Exact: '1' }] } },
            Destination: { Service: 'web', ServiceSubset: 'canary' },
          },
          {
            Match: { HTTP: { QueryParam: [{ Name: 'x-debug', Exact: '1' }], Methods: ['GET', 'PUT'] } },
            Destination: { PrefixRewrite: '', NumRetries: 5, RetryOnConnectFailure: true, RetryOnStatusCodes: [503] },
          },
          {
            Match: {
              HTTP: {
                PathPrefix: '/Coffees',
                CaseInsensitive: true,
                Header: [
                  { Name: 'x-a', Prefix: 'a' },
                  { Name: 'x-a', Suffix: 'b', Invert: true },
                ],
              },
            },
            Destination: {
              Service: 'cart',
              PrefixRewrite: '/',
              RequestTimeout: '1m30s',
              IdleTimeout: '-1s',
              RequestHeaders: { Add: { 'x-a': '1' }, Set: { 'x-b': '50%%' }, Remove: ['x-c'] },
            },
          },
        ],
      },
      { Kind: 'service-resolver', Name: 'web', Subsets: { canary: { Filter: 'Service.Meta.version == canary' } } },
    ]
    expect(policyFor('web', ...written)).toEqual({
      protocol: 'http',
      resolve: { subsets: { canary: { filter: 'Service.Meta.version == canary' } } },
      routes: [
        { match: { path: { prefix: '/admin' } }, to: [{ service: 'admin' }] },
        { match: { headers: { 'x-debug': { exact: '1' } } }, to: [{ subset: 'canary' }] },
        {
          match: { methods: ['GET', 'PUT'], query: { 'x-debug': { exact: '1' } } },
          to: [{}],
          retries: { on: ['connect-failure'], statuses: [503], attempts: 6 },
        },
        {
          match: {
            path: { prefix: '/Coffees', ignoreCase: true },
            headers: { 'x-a': [{ prefix: 'a' }, { suffix: 'b', invert: true }] },
          },
          to: [{ service: 'cart' }],
          rewrite: '/',
          timeouts: { request: '90s', idle: 'off' },
          headers: { request: { set: { 'x-b': '50%' }, add: { 'x-a': '1' }, remove: ['x-c'] } },
        },
        { to: [{}] },
      ],
    })
    for (const document of translated(...written)) expect(await problemsOf(document)).toEqual([])
  })

  test('what it leads to may have a splitter, a redirect and a default subset of its own', () => {
    const policy = policyFor(
      'web',
      ...['web', 'a', 'b', 'c', 'd'].map(http),
      {
        Kind: 'service-router',
        Name: 'web',
        Routes: [
          { Match: { HTTP: { PathPrefix: '/a' } }, Destination: { Service: 'a' } },
          { Match: { HTTP: { PathPrefix: '/c' } }, Destination: { Service: 'c' } },
        ],
      },
      {
        Kind: 'service-splitter',
        Name: 'a',
        Splits: [{ Weight: 90 }, { Weight: 10, Service: 'b', RequestHeaders: { Set: { 'x-b': '1' } } }],
      },
      { Kind: 'service-resolver', Name: 'c', Redirect: { Service: 'd' } },
      { Kind: 'service-resolver', Name: 'd', DefaultSubset: 'v1', Subsets: { v1: { Filter: 'Service.ID == d1' } } },
    )
    expect(policy).toMatchObject({
      routes: [
        {
          to: [
            { service: 'a', weight: 90 },
            { service: 'b', weight: 10, headers: { request: { set: { 'x-b': '1' } } } },
          ],
        },
        { to: [{ service: 'd', subset: 'v1' }] },
        { to: [{}] },
      ],
    })
  })

  test('retries have the meaning that Envoy gives their words', () => {
    const retriesOf = (Destination: object) =>
      policyFor('web', http('web'), { Kind: 'service-router', Name: 'web', Routes: [{ Destination }] }) as {
        routes: { retries?: unknown }[]
      }
    expect(retriesOf({ RetryOn: ['gateway-error', 'retriable-4xx'] }).routes[0]!.retries).toEqual({
      on: ['gateway-error', 'connect-failure', 'refused-stream', 'reset-before-response', 'per-try-timeout'],
      statuses: [409],
      attempts: 2,
    })
    expect(retriesOf({}).routes[0]!.retries).toBeUndefined()
  })
})

describe('service-splitter', () => {
  const split = (Name: string, ...Splits: object[]): Written => ({ Kind: 'service-splitter', Name, Splits })

  test('splitters within splitters are multiplied out, and rounded to 0.01 as Consul does', () => {
    const policy = policyFor(
      'web',
      ...['web', 'a', 'b'].map(http),
      split(
        'web',
        { Weight: 33.33, RequestHeaders: { Set: { x: 'out' } } },
        {
          Weight: 66.67,
          Service: 'a',
          RequestHeaders: { Set: { x: 'out', y: 'out' } },
          ResponseHeaders: { Set: { x: 'out' } },
        },
      ),
      split(
        'a',
        { Weight: 50, RequestHeaders: { Set: { x: 'in' } }, ResponseHeaders: { Set: { x: 'in' } } },
        {
          Weight: 50,
          Service: 'b',
        },
      ),
    )
    expect(policy).toEqual({
      protocol: 'http',
      routes: [
        {
          to: [
            { weight: 33.33, headers: { request: { set: { x: 'out' } } } },
            // Of requests the inner one counts, of responses the outer one.
            {
              service: 'a',
              weight: 33.34,
              headers: { request: { set: { x: 'in', y: 'out' } }, response: { set: { x: 'out' } } },
            },
            {
              service: 'b',
              weight: 33.34,
              headers: { request: { set: { x: 'out', y: 'out' } }, response: { set: { x: 'out' } } },
            },
          ],
        },
      ],
    })
  })

  test('splitters within splitters that multiply without end are refused', () => {
    const level = (n: number) => [`a${n}`, `b${n}`]
    const splitters = Array.from({ length: 40 }, (_, n) =>
      level(n).map(name => split(name, ...level(n + 1).map(Service => ({ Weight: 50, Service })))),
    ).flat()
    const names = Array.from({ length: 41 }, (_, n) => level(n)).flat()
    const documents = translated(...names.map(http), ...splitters)
    expect(documentFor('a0', documents).errors.join()).toMatch(/make 1024 shares, and at most 1000 are possible/)
    expect(documentFor('a38', documents).errors).toEqual([])
  })

  test('a circle is refused with the names in it, and only where it is', () => {
    const documents = translated(
      ...['web', 'a', 'other'].map(http),
      split('web', { Weight: 100, Service: 'a' }),
      split('a', { Weight: 100, Service: 'web' }),
    )
    expect(documentFor('web', documents).errors).toEqual([
      'consul service-splitter/web, service-defaults/web: service-splitter entries go in a circle: web -> a -> web',
    ])
    expect(documentFor('other', documents).errors).toEqual([])
  })

  test('services of several protocols, or of none with routes, are refused', () => {
    const mixed = translated(
      http('web'),
      { Kind: 'service-defaults', Name: 'a', Protocol: 'grpc' },
      split('web', { Weight: 50 }, { Weight: 50, Service: 'a' }),
    )
    expect(documentFor('web', mixed).errors.join()).toMatch(/web has the protocol http and a grpc/)
    expect(documentFor('a', translated(split('a', { Weight: 100 }))).errors.join()).toMatch(/has no routes/)
  })
})

describe('service-resolver', () => {
  const resolver = (Name: string, more: object): Written => ({ Kind: 'service-resolver', Name, ...more })

  test('the examples of its page: subsets, redirect, failover', async () => {
    const written = [
      resolver('web', {
        DefaultSubset: 'v1',
        ConnectTimeout: '15s',
        RequestTimeout: '30s',
        Subsets: { v1: { Filter: 'Service.Meta.version == v1' }, v2: { Filter: 'Service.Meta.version == v2' } },
        Failover: { v2: { Service: 'backup', ServiceSubset: 'slow' }, '*': { Datacenters: ['dc3', 'dc4'] } },
      }),
      resolver('backup', { Subsets: { slow: { Filter: '"slow" in Service.Tags', OnlyPassing: true } } }),
      resolver('elsewhere', { Redirect: { Service: 'web', ServiceSubset: 'v2', Datacenter: 'dc2' } }),
      resolver('renamed', { Redirect: { Service: 'web' } }),
    ]
    const documents = translated(...written)
    expect(JSON.parse(documentFor('web', documents).text)).toEqual({
      resolve: {
        default: 'v1',
        subsets: {
          v1: { filter: 'Service.Meta.version == v1' },
          v2: { filter: 'Service.Meta.version == v2' },
        },
        failover: {
          v1: [{ datacenter: 'dc3' }, { datacenter: 'dc4' }],
          v2: [{ service: 'backup', filter: '"slow" in Service.Tags', onlyPassing: true }],
        },
      },
      balancer: { overprovisioning: 1000 },
      timeouts: { connect: '15s', request: '30s' },
    })
    expect(JSON.parse(documentFor('elsewhere', documents).text)).toMatchObject({
      resolve: { service: 'web', datacenter: 'dc2', default: 'v2' },
    })
    expect(JSON.parse(documentFor('renamed', documents).text)).toEqual({
      timeouts: { request: '30s' },
      routes: [{ to: [{ service: 'web', subset: 'v1' }] }],
    })
    for (const document of documents) expect(await problemsOf(document)).toEqual([])
  })

  test('a redirect in a circle, and a subset that is not there, are refused', () => {
    const documents = translated(
      resolver('a', { Redirect: { Service: 'b' } }),
      resolver('b', { Redirect: { Service: 'a' } }),
      resolver('c', { Redirect: { Service: 'd', ServiceSubset: 'v9' } }),
    )
    expect(documentFor('a', documents).errors.join()).toMatch(/circle: a -> b -> a/)
    expect(documentFor('c', documents).errors.join()).toMatch(/d has no subset named v9/)
  })

  test('load balancers', async () => {
    const written = resolver('web', {
      LoadBalancer: {
        Policy: 'ring_hash',
        RingHashConfig: { MinimumRingSize: 100, MaximumRingSize: 200 },
        HashPolicies: [
          { Field: 'header', FieldValue: 'x-user', Terminal: true },
          { Field: 'cookie', FieldValue: 'c', CookieConfig: { Session: true, Path: '/a' } },
          { Field: 'cookie', FieldValue: 'd', CookieConfig: { TTL: '10s' } },
          { Field: 'query_parameter', FieldValue: 'q' },
          { SourceIP: true },
        ],
      },
    })
    expect(policyFor('web', written)).toEqual({
      balancer: {
        type: 'ring_hash',
        minimumRingSize: 100,
        maximumRingSize: 200,
        hashOn: [
          { header: 'x-user', terminal: true },
          { cookie: { name: 'c', ttl: 'session', path: '/a' } },
          { cookie: { name: 'd', ttl: '10s' } },
          { query: 'q' },
          { sourceIp: true },
        ],
      },
    })
    expect(await problemsOf(translated(written)[0]!)).toEqual([])
  })

  test('a filter that cannot be read refuses the document alone', async () => {
    const documents = translated(
      resolver('web', { Subsets: { v1: { Filter: 'Checks.Status == passing' } } }),
      resolver('other', { ConnectTimeout: '1s' }),
    )
    expect((await problemsOf(documentFor('web', documents))).join()).toMatch(/there is no field Checks.Status/)
    expect(await problemsOf(documentFor('other', documents))).toEqual([])
  })
})

describe('every field of the api package of Consul', () => {
  const listed = readFileSync(join(import.meta.dirname, 'consul-api-fields.txt'), 'utf8')
    .split('\n')
    .filter(line => line !== '' && !line.startsWith('#'))
    .map(line => line.split(' ') as [Kind, string])

  test('are listed', () => {
    expect(listed.length).toBe(250)
  })

  test.each(listed)('%s %s has a row of its own, or of what it is in', (kind, field) => {
    expect(ruleOf(kind, field)).not.toBeNull()
  })

  test('has no row for what is no field', () => {
    const known = new Set(listed.map(([kind, field]) => `${kind} ${field}`))
    const within = (kind: string, field: string) => [...known].some(each => each.startsWith(`${kind} ${field}`))
    const besides = kinds.flatMap(kind => fields[kind].filter(({ field }) => !within(kind, field)))
    expect(besides.map(({ field }) => field)).toEqual(['Config.protocol'])
  })

  const page = readFileSync(join(import.meta.dirname, '../../../docs/consul-config-entries.md'), 'utf8')

  test.each(listed)('%s %s is on the page', (_kind, field) => {
    expect(page).toContain(`| \`${field}\` |`)
  })

  /** Values that Consul accepts there, where a number or a text would be refused or is the default. */
  const valueAt = (field: string): unknown => {
    const name = field.replace(/^.*\./, '')
    if (/^(Present|CaseInsensitive|Invert|OnlyPassing|Session|SourceIP|Terminal|RetryOnConnectFailure)/.test(name))
      return true
    if (/Timeout|TTL|Interval|BaseEjectionTime/.test(name) && !name.endsWith('Ms')) return '9s'
    if (/^(NumRetries|Weight|Max|Min|Enforcing|Choice|RetryOnStatusCodes|.*Ms$|.*Port$|Precedence)/.test(name)) return 9
    if (name === 'RetryOn[]') return '5xx'
    if (name === 'Methods[]') return 'GET'
    if (name === 'Field') return 'query_parameter'
    if (name === 'Policy') return 'random'
    if (name === 'Protocol') return 'http2'
    if (/^(PathExact|PathPrefix|PathRegex|PrefixRewrite|Path)$/.test(name)) return '/x'
    if (field === 'PrioritizeByLocality.Mode') return 'none'
    if (/Datacenter/.test(name)) return 'dc9'
    if (name === 'Filter') return 'Service.ID == x'
    return 'x'
  }

  /** An entry that says this one thing, within what it needs to mean something. */
  function entryWith(kind: Kind, field: string, value: unknown): Written {
    const root: Record<string, unknown> = { Kind: kind, Name: kind === 'proxy-defaults' ? 'global' : 'web' }
    let at: Record<string, unknown> = root
    const steps = field.split('.')
    for (const [index, step] of steps.entries()) {
      const name = step.replace(/[[\]{}]+/g, '')
      const isLast = index === steps.length - 1
      const inner: Record<string, unknown> = {}
      const held = isLast ? value : inner
      at[name] = step.endsWith('[]') ? [held] : step.endsWith('{}') ? { v1: held } : held
      if (/^(Header|QueryParam)$/.test(name))
        Object.assign(inner, { Name: 'x-a', ...(/Name|Invert/.test(field) ? { Exact: 'a' } : {}) })
      if (name === 'HashPolicies') Object.assign(inner, { Field: 'cookie', FieldValue: 'c' })
      if (name === 'Splits') Object.assign(inner, { Weight: 50 })
      if (name === 'Overrides')
        Object.assign(inner, { Name: 'called', ...(field.endsWith('.Name') ? { ConnectTimeoutMs: 5 } : {}) })
      if (name === 'HTTP' && field.endsWith('CaseInsensitive')) Object.assign(inner, { PathPrefix: '/x' })
      at = inner
    }
    if (field.startsWith('Splits')) (root.Splits as unknown[]).push({ Weight: 50, Service: 'other' })
    if (field === 'DefaultSubset') root.Subsets = { x: {} }
    if (/Redirect.ServiceSubset|Failover.*ServiceSubset/.test(field)) root.Subsets = { x: {}, v1: {} }
    if (/^Failover/.test(field)) root.Subsets = { ...(root.Subsets as object), v1: {} }
    return root as Written
  }

  const besides: Written[] = [
    { Kind: 'service-resolver', Name: 'x', Subsets: { x: {} } },
    { Kind: 'service-resolver', Name: 'web', Subsets: { x: {} } },
    ...['x', 'other', 'web'].map(http),
  ]
  const outcome = (kind: Kind, field: string, value: unknown) => {
    const entry = entryWith(kind, field, value)
    const rest = besides.filter(each => each.Kind !== kind || each.Name !== entry.Name)
    const documents = translated(
      ...(kind === 'proxy-defaults' ? rest.filter(each => each.Name !== 'web') : rest),
      entry,
    )
    return {
      texts: documents.map(({ text }) => text).join('\n'),
      warnings: documents.flatMap(({ warnings }) => warnings),
    }
  }

  const judged = listed.filter(([kind, field]) => {
    const { how } = ruleOf(kind, field)!
    return how !== 'data' && how !== 'kept'
  })
  test.each(judged)('%s %s changes the policy, or a warning names it', (kind, field) => {
    const treated = ruleOf(kind, field)!
    const empty = Array.isArray(valueAt(field)) ? [] : undefined
    const [before, after] = [outcome(kind, field, empty), outcome(kind, field, valueAt(field))]
    const added = after.warnings.filter(warning => !before.warnings.includes(warning))
    if (treated.how === 'no') expect(added.join()).toContain(treated.field)
    else expect([after.texts !== before.texts, added.length > 0]).toContain(true)
  })

  test('a field that no version knows is named as well, and intentions once', () => {
    const documents = translated(
      { Kind: 'service-defaults', Name: 'web', Protocol: 'http', Fresh: { Idea: 1 } },
      { Kind: 'service-intentions', Name: 'web', Sources: [{ Name: 'a', Action: 'allow' }] },
      { Kind: 'service-intentions', Name: 'api', Sources: [{ Name: 'a', Action: 'deny' }] },
    )
    expect(documents.flatMap(({ warnings }) => warnings)).toEqual([
      'consul service-intentions: 2 of them are read and not enforced: this version has no identities yet',
      'consul service-defaults/web: Fresh.Idea: this version of Outrigger does not know it: it has no effect',
    ])
  })
})

describe('PassiveHealthCheck', () => {
  const outliersOf = (PassiveHealthCheck: object) => {
    const documents = translated({
      ...http('client'),
      UpstreamConfig: { Overrides: [{ Name: 'web', PassiveHealthCheck }] },
    })
    const document = documents.find(({ text }) => text.includes('outliers'))!
    const { calls } = JSON.parse(document.text) as { calls: Record<string, { outliers: object }> }
    return { outliers: calls.web!.outliers, warnings: document.warnings }
  }

  test('counts any 5xx, as Envoy does, and no shorter row beside it', () => {
    const check = { Interval: 30_000_000_000, MaxFailures: 7, MaxEjectionPercent: 20, BaseEjectionTime: 60_000_000_000 }
    expect(outliersOf(check)).toEqual({
      outliers: {
        interval: '30s',
        consecutiveGatewayFailures: 0,
        consecutive5xx: 7,
        maxEjectedPercent: 20,
        baseEjection: '60s',
      },
      warnings: [],
    })
  })

  test('EnforcingConsecutive5xx: 0 ejects for no row at all, whatever MaxFailures says', () => {
    expect(outliersOf({ MaxFailures: 7, EnforcingConsecutive5xx: 0 }).outliers).toEqual({
      consecutiveGatewayFailures: 0,
    })
    expect(outliersOf({ MaxFailures: 7, EnforcingConsecutive5xx: 100 }).outliers).toMatchObject({ consecutive5xx: 7 })
    expect(outliersOf({ MaxFailures: 7, EnforcingConsecutive5xx: 40 }).warnings.join()).toContain(
      '40 % is not supported',
    )
  })
})
