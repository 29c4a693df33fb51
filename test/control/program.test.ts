import { existsSync, readFileSync, renameSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { startBackend } from '../integration/support/backend.ts'
import { temporaryFolder } from '../integration/support/child.ts'
import { freePort } from '../integration/support/ports.ts'
import { get, startProxy } from '../integration/support/proxy.ts'
import { until } from '../integration/support/until.ts'

async function proxyWith(config: object, env: NodeJS.ProcessEnv = {}) {
  const backend = await startBackend()
  const port = await freePort()
  const proxy = await startProxy(
    {
      outbound: [{ listen: `127.0.0.1:${port}`, service: 'orders' }],
      discovery: { endpoints: { orders: [backend.address] } },
      ...config,
    },
    env,
  )
  return {
    proxy,
    port,
    async [Symbol.asyncDispose]() {
      await proxy.stop()
      await backend[Symbol.asyncDispose]()
    },
  }
}

describe('a second signal ends it at once', () => {
  test.each([
    ['SIGTERM', 143],
    ['SIGINT', 130],
  ] as const)('%s: exit code %i, although a drain would have taken a minute', async (signal, code) => {
    await using all = await proxyWith({
      inbound: [{ listen: `127.0.0.1:${await freePort()}`, forward: '127.0.0.1:9' }],
      drain: { delay: '60s' },
    })
    all.proxy.signal(signal)
    await until('that it drains', async () => (await all.proxy.admin('/ready')).status === 503)
    all.proxy.signal(signal)
    expect(await all.proxy.ended).toEqual({ code, signal: null })
  })
})

test('a file that changes while it drains opens nothing any more', async () => {
  const inbound = { listen: `127.0.0.1:${await freePort()}`, forward: '127.0.0.1:9' }
  await using all = await proxyWith({ inbound: [inbound], drain: { delay: '60s' } })
  const later = await freePort()
  all.proxy.signal('SIGTERM')
  await until('that it drains', async () => (await all.proxy.admin('/ready')).status === 503)
  all.proxy.write({ inbound: [inbound, { ...inbound, listen: `127.0.0.1:${later}` }], drain: { delay: '60s' } })
  all.proxy.signal('SIGHUP')
  // A reader would have been done several times over.
  for (let i = 0; i < 20; i++)
    await expect(get(later, '/'))
      .rejects.toThrow('ECONNREFUSED')
      .then(() => sleep(50))
  expect(all.proxy.err()).not.toContain('in force')
})

test('the admin port is taken: exit code 1, with the address', async () => {
  const taken = createServer().listen(0, '127.0.0.1')
  const address = `127.0.0.1:${await new Promise<number>(resolve => taken.once('listening', () => resolve((taken.address() as { port: number }).port)))}`
  try {
    await expect(proxyWith({ admin: address })).rejects.toThrow(
      `cannot listen on the admin port ${address}: address already in use (EADDRINUSE)`,
    )
  } finally {
    taken.close()
  }
})

describe('the access log', () => {
  test('in a file goes on in a new one after SIGUSR1, and after SIGHUP', async () => {
    const file = join(temporaryFolder(), 'access.log')
    await using all = await proxyWith({ accessLog: { mode: 'on', path: file } })
    const logged = async (path: string) => {
      await get(all.port, path)
      await until(`the line of ${path}`, () => existsSync(file) && readFileSync(file, 'utf8').includes(`GET ${path} `))
    }
    await logged('/one')
    for (const [signal, path] of [
      ['SIGUSR1', '/two'],
      ['SIGHUP', '/three'],
    ] as const) {
      renameSync(file, `${file}.old`)
      all.proxy.signal(signal)
      await until('a new file', () => existsSync(file))
      await logged(path)
      expect(readFileSync(file, 'utf8').trimEnd().split('\n')).toHaveLength(1)
    }
  })

  test('as JSON on standard output is alone there: the lines at the start go to standard error', async () => {
    await using all = await proxyWith({ accessLog: { mode: 'on', format: 'json' } })
    await get(all.port, '/')
    await until('the line', () => all.proxy.out() !== '')
    expect(JSON.parse(all.proxy.out())).toMatchObject({ path: '/', response_code: 200 })
    expect(all.proxy.err()).toContain('ready after')
  })

  test('what is written last is not lost when the proxy ends', async () => {
    await using all = await proxyWith({ accessLog: 'on' })
    await get(all.port, '/last')
    all.proxy.signal('SIGTERM')
    expect((await all.proxy.ended).code).toBe(0)
    expect(all.proxy.out()).toContain('GET /last ')
  })
})

test('its own log: the level comes from the environment, and is changed at /log-level', async () => {
  await using all = await proxyWith({}, { OUTRIGGER_LOG_LEVEL: 'error' })
  const reload = async () => {
    const before = (await all.proxy.admin('/config')).body
    all.proxy.signal('SIGHUP')
    await until('that it was read', async () => (await all.proxy.admin('/metrics')).body !== before)
  }
  await reload()
  expect(all.proxy.err()).toBe('')
  await all.proxy.admin('/log-level?level=info', { method: 'POST' })
  all.proxy.signal('SIGHUP')
  await all.proxy.said('that nothing changed', (_out, err) => err.includes('SIGHUP: nothing changed'))
  expect(JSON.parse(all.proxy.err().split('\n')[0]!)).toMatchObject({ level: 'info', msg: expect.any(String) })
})

test('/config shows secrets to nobody', async () => {
  await using all = await proxyWith({ service: '$' + '{MESH_SECRET_NAME}' }, { MESH_SECRET_NAME: 'hush' })
  for (const format of ['json', 'text', 'html']) {
    const { body } = await all.proxy.admin(`/config?format=${format}`)
    expect(body).toContain('not shown')
    expect(body).not.toContain('hush')
  }
})
