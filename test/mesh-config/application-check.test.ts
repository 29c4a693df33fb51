import { expect, test } from 'vitest'
import { loadTexts } from '../../mesh-config/load-snapshot.ts'

async function loaded(check: string, more = '') {
  const application = check === '' ? '' : `, application: { check: ${check} }`
  const text = `inbound: [{ listen: "0.0.0.0:20000", forward: "127.0.0.1:3000"${application} }${more}]`
  return await loadTexts([{ file: 'f', text }], {})
}

async function applications(check: string, more = '') {
  const found = await loaded(check, more)
  if (!found.ok) throw new Error(found.errors.join())
  return found.snapshot.applications
}

const times = { intervalMs: 2_000, timeoutMs: 1_000, failures: 3, successes: 1 }

test.each([
  ['', { kind: 'port', ...times }],
  ['{ interval: 5s, failures: 1 }', { kind: 'port', ...times, intervalMs: 5_000, failures: 1 }],
  ['{ http: /healthz }', { kind: 'http', path: '/healthz', statuses: [[200, 399]], ...times }],
  [
    '{ http: "/z?a=b", status: [204, 3xx] }',
    {
      kind: 'http',
      path: '/z?a=b',
      statuses: [
        [204, 204],
        [300, 399],
      ],
      ...times,
    },
  ],
  ['{ grpc: "" }', { kind: 'grpc', service: '', ...times }],
  [
    '{ command: [pg_isready, -q], timeout: 3s }',
    { kind: 'command', command: ['pg_isready', '-q'], ...times, timeoutMs: 3_000 },
  ],
])('check: %s', async (check, expected) => {
  expect(await applications(check)).toEqual([
    { name: 'local_app:3000', address: { address: '127.0.0.1', port: 3_000 }, check: expected },
  ])
})

test('off: it is not there; and an application behind two listeners is there once', async () => {
  expect(await applications('off')).toEqual([])
  const both = await applications('', ', { listen: "0.0.0.0:20001", forward: "127.0.0.1:3000" }')
  expect(both).toHaveLength(1)
})

test.each([
  ['{ http: healthz }', 'is not a path: write a path such as /healthz'],
  ['{ http: /a, grpc: "" }', 'http and grpc exclude each other'],
  ['{ command: [] }', 'command'],
  ['{ interval: 10ms }', 'write at least 100ms'],
  ['{ interval: off }', 'cannot be off'],
  ['{ htp: /a }', 'http'],
  ['sometimes', 'check'],
])('%s is refused: %s', async (check, words) => {
  const found = await loaded(check)
  expect(found.ok ? '' : found.errors.join()).toContain(words)
})
