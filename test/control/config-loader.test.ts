import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { loadConfig } from '../../proxy/control/config-loader.ts'
import { systemClock } from '../../proxy/system/clock.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

function fileWith(text: string): string {
  const file = join(temporaryFolder(), 'sidecar.yaml')
  writeFileSync(file, text)
  return file
}

test('a good file: what the proxy runs on at once, what /config shows after it', async () => {
  const file = fileWith(
    'service: web\noutbound: [{ listen: "127.0.0.1:15001", service: orders }]\ndiscovery: { endpoints: { orders: ["127.0.0.1:9001"] } }\n',
  )
  const loaded = await loadConfig([file], systemClock)
  if (!loaded.ok) throw new Error(loaded.errors.join())
  expect(loaded.bootstrap).toMatchObject({ service: 'web', workers: 1 })
  expect(loaded.snapshot.services.orders!.endpoints[0]).toMatchObject({ address: '127.0.0.1', port: 9001 })
  const { json, text } = await loaded.effective
  expect(JSON.parse(json())).toMatchObject({ config: { service: 'web' }, sources: { service: { at: `${file}:1` } } })
  expect(text()).toMatch(/^service: web +# .*sidecar\.yaml:1$/m)
})

test('variables of the environment are those of the proxy', async () => {
  process.env.TEST_SERVICE_NAME = 'from-here'
  const loaded = await loadConfig(
    [fileWith(`service: \${TEST_SERVICE_NAME}\noutbound: [{ listen: "127.0.0.1:15001" }]\n`)],
    systemClock,
  )
  expect(loaded).toMatchObject({ ok: true, bootstrap: { service: 'from-here' } })
})

test('a bad file: its errors', async () => {
  const file = fileWith('servce: web\n')
  expect(await loadConfig([file], systemClock)).toEqual({
    ok: false,
    errors: expect.arrayContaining([expect.stringMatching(`^${file}:1:1: .*did you mean "service"`)]),
  })
})

test('a large file comes whole', async () => {
  const endpoints = Array.from({ length: 5_000 }, (_, i) => `"10.${i >> 8}.${i & 255}.1:80"`)
  const loaded = await loadConfig(
    [
      fileWith(
        `outbound: [{ listen: "127.0.0.1:15001", service: a }]\ndiscovery: { endpoints: { a: [${endpoints.join(', ')}] } }\n`,
      ),
    ],
    systemClock,
  )
  if (!loaded.ok) throw new Error(loaded.errors.join())
  expect(loaded.snapshot.services.a!.endpoints).toHaveLength(5_000)
  expect((await loaded.effective).json().length).toBeGreaterThan(5_000 * 20)
})

test('a reader that dies is an error with its last words, not a crash', async () => {
  process.env.NODE_OPTIONS = '--no-such-option'
  try {
    expect(await loadConfig(['x.yaml'], systemClock)).toEqual({
      ok: false,
      errors: [expect.stringContaining('--no-such-option is not allowed')],
    })
  } finally {
    delete process.env.NODE_OPTIONS
  }
})
