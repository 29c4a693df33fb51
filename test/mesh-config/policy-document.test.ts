import { describe, expect, test } from 'vitest'
import { formatProblem, type Located } from '../../mesh-config/located.ts'
import { locateOwnLayer } from '../../mesh-config/own-layer.ts'
import { compilePolicy, MAX_DOCUMENT_BYTES, readPolicy } from '../../mesh-config/policy-document.ts'

async function read(text: string, at = 'orders.yaml', env: Record<string, string> | null = {}): Promise<Located> {
  const { root, problems } = await readPolicy('orders', at, text, env)
  expect(problems.map(formatProblem)).toEqual([])
  return root!
}

async function problemsOf(text: string, env: Record<string, string> | null = {}): Promise<string[]> {
  return (await readPolicy('orders', 'orders.yaml', text, env)).problems.map(formatProblem)
}

function compiled(...layers: Located[]) {
  const policy = compilePolicy('orders', layers)
  if (!policy.ok) throw new Error(policy.problems.map(formatProblem).join('\n'))
  return policy
}

describe('one document', () => {
  test.each([
    ['retris: 1', ['orders.yaml:1:1: unknown key "retris": did you mean "retries"?']],
    ['timeouts: { request: 5 }', ['orders.yaml:1:22: request: 5 has no unit: write 5s']],
    [
      '- a',
      ['orders.yaml:1:1: the document is a list, and a policy is a map: write "key: value" lines, such as timeouts:'],
    ],
    [
      'routes: [{ timeouts: { connect: 1s } }]',
      [
        'orders.yaml:1:24: connect: all routes of a service share its connections: write it under services.<name>.timeouts',
      ],
    ],
    ['a: [', [expect.stringMatching(/^orders.yaml:\d+:\d+: /)]],
  ])('%s', async (text, expected) => {
    expect(await problemsOf(text)).toEqual(expected)
  })

  test('a regular expression that could take exponential time', async () => {
    const [problem] = await problemsOf('routes: [{ match: { path: { regex: "(?=a)" } } }]')
    expect(problem).toMatch(/^orders.yaml:1:36: RE2 has no lookaround/)
  })

  test('of five megabytes is refused by its size, and is not parsed', async () => {
    const text = `hosts: [${'"a",'.repeat(1_310_720)}]`
    expect(text.length).toBeGreaterThan(5 * MAX_DOCUMENT_BYTES)
    expect(await problemsOf(text)).toEqual([
      'orders.yaml: the document has 5.0 MiB, and at most 1 MiB is read: is it a policy? Write shorter routes',
    ])
  })

  test('of a file may contain variables; one that comes over the network may not read the environment', async () => {
    const text = 'timeouts: { request: "${LIMIT}" }'
    expect(compiled(await read(text, 'orders.yaml', { LIMIT: '4s' })).spec.timeouts.requestMs).toBe(4000)
    expect(await problemsOf(text, null)).toEqual([
      'orders.yaml:1:22: ${LIMIT} would read the environment of the agent: write the value, and $${ for a plain ${',
    ])
    const plain = await read('routes: [{ match: { headers: { x: "$${a}" } }, name: r }]', 'kv', null)
    expect(compiled(plain).spec.routes[0]!.match.headers[0]!.value).toBe('${a}')
  })

  test('that is empty says nothing', async () => {
    expect(compiled(await read('')).provenance).toEqual({})
  })
})

describe('several documents', () => {
  test('are merged key by key, lists as a whole, each value with its place', async () => {
    const defaults = await read('retries: { attempts: 2, on: [5xx] }\ntimeouts: { request: 9s }', 'defaults.yaml')
    const orders = await read('retries:\n  attempts: 3', 'consul kv outrigger/services/orders')
    const { spec, provenance } = compiled(defaults, orders)
    expect(spec.retries).toMatchObject({ attempts: 3, on: ['5xx'] })
    expect(spec.timeouts.requestMs).toBe(9000)
    expect(provenance).toEqual({
      'retries.attempts': { at: 'consul kv outrigger/services/orders:2', value: 3 },
      'retries.on': { at: 'defaults.yaml:1', value: ['5xx'] },
      'timeouts.request': { at: 'defaults.yaml:2', value: '9s' },
    })
  })

  test('an empty value restores the default', async () => {
    const { spec, provenance } = compiled(await read('retries: { attempts: 5 }'), await read('retries: { attempts: }'))
    expect(spec.retries.attempts).toBe(compiled().spec.retries.attempts)
    expect(provenance).toEqual({})
  })

  test('the last layer is what the sidecar says, with its own places', async () => {
    const own = { policy: { retries: { attempts: 7 } }, at: { 'retries.attempts': 'sidecar.yaml:12' } }
    const { spec, provenance } = compiled(await read('retries: { attempts: 2 }'), locateOwnLayer(JSON.stringify(own)))
    expect(spec.retries.attempts).toBe(7)
    expect(provenance).toEqual({ 'retries.attempts': { at: 'sidecar.yaml:12', value: 7 } })
  })

  test('a layer that is nested without end is refused before it fills the memory', () => {
    const deep = `{"policy":${'{"a":'.repeat(1000)}1${'}'.repeat(1000)}}`
    expect(() => locateOwnLayer(deep)).toThrow('nested deeper than 64 levels')
  })

  test('the version depends on the content alone', async () => {
    const one = compiled(await read('retries: { attempts: 2 }\ntimeouts: { request: 1s }'))
    const other = compiled(await read('retries: { attempts: 2 }\n\ntimeouts: { request: 1s }'))
    expect(one.version).not.toBe(other.version)
    expect(compiled(await read('# a comment\n')).version).toBe(compiled(await read('')).version)
  })

  test('a subset that no document has, at its place', async () => {
    const layers = [
      await read('subsets: { v2: { version: v2 } }'),
      await read('routes: [{ to: [{ subset: v3 }] }]', 'b.yaml'),
    ]
    const policy = compilePolicy('orders', layers)
    expect(policy.ok ? [] : policy.problems.map(formatProblem)).toEqual([
      'b.yaml:1:27: there is no subset "v3": did you mean "v2"?',
    ])
  })

  test('what is allowed and has no effect is a warning at its place', async () => {
    const { warnings } = compiled(await read('retries: { attempts: 3, on: [] }'))
    expect(warnings.map(formatProblem)).toEqual([
      'orders.yaml:1:29: attempts 3 without a condition to retry on: write attempts: 1, or on: [connect-failure]',
    ])
  })
})
