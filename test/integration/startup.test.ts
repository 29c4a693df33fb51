import { writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { startBackend } from './support/backend.ts'
import { node, run, startChild, temporaryFolder } from './support/child.ts'
import { freePort } from './support/ports.ts'
import { get, outrigger, startProxy } from './support/proxy.ts'
import { exchangeRaw } from './support/raw.ts'

function fileWith(text: string, name = 'sidecar.yaml'): string {
  const file = join(temporaryFolder(), name)
  writeFileSync(file, text)
  return file
}

describe('a proxy that starts', () => {
  test('prints one line for each listener and one for the admin port, and they listen', async () => {
    const [inbound, orders, shared] = [await freePort(), await freePort(), await freePort()]
    await using proxy = await startProxy({
      service: 'web',
      inbound: [{ listen: `127.0.0.1:${inbound}`, forward: '127.0.0.1:9' }],
      outbound: [{ listen: `127.0.0.1:${orders}`, service: 'orders' }, { listen: `127.0.0.1:${shared}` }],
      discovery: { endpoints: { orders: ['127.0.0.1:9', '127.0.0.1:10'] } },
    })
    const [title, ...lines] = proxy.out().trimEnd().split('\n')
    expect(title).toMatch(/^outrigger \S+ for web: ready after \d+ ms$/)
    expect(lines.map(line => line.replace(/ +/g, ' '))).toEqual([
      `inbound 127.0.0.1:${inbound} -> 127.0.0.1:9`,
      `outbound 127.0.0.1:${orders} -> orders (2 endpoints)`,
      `outbound 127.0.0.1:${shared} -> by Host: orders`,
      `admin 127.0.0.1:${proxy.adminPort} curl http://127.0.0.1:${proxy.adminPort}/`,
    ])
    for (const port of [inbound, orders, shared])
      expect(await exchangeRaw(port, 'nonsense\r\n\r\n')).toMatch(/^HTTP\/1.1 400 /)
    expect((await proxy.admin('/ready')).status).toBe(200)
  })

  test('the smallest file of three lines serves requests', async () => {
    await using backend = await startBackend()
    const port = await freePort()
    await using proxy = await startProxy({
      outbound: [{ listen: `127.0.0.1:${port}`, service: 'orders' }],
      discovery: { endpoints: { orders: [backend.address] } },
    })
    expect(await get(port, '/')).toMatchObject({ status: 200, body: `${backend.port}\n` })
    expect(proxy.err()).toBe('')
  })

  test('several -c files are laid over each other, the later one wins', async () => {
    await using backend = await startBackend()
    const [port, admin] = [await freePort(), await freePort()]
    const base = fileWith(
      `service: base\ndrain: { delay: 0s }\noutbound: [{ listen: '127.0.0.1:${port}', service: orders }]\ndiscovery: { endpoints: { orders: ['127.0.0.1:9'] } }\n`,
      'base.yaml',
    )
    const host = fileWith(
      `service: this-host\nadmin: 127.0.0.1:${admin}\ndiscovery: { endpoints: { orders: ['${backend.address}'] } }\n`,
      'host.yaml',
    )
    await using proxy = startChild(node, [outrigger, 'proxy', '-c', base, '-c', host])
    await proxy.said('that it is ready', out => out.includes('admin '))
    expect(proxy.out()).toContain('for this-host: ready')
    expect((await get(port, '/')).body).toBe(`${backend.port}\n`)
    expect(JSON.parse((await get(admin, '/config')).body)).toMatchObject({ files: [base, host] })
  })
})

test('a user number without a home, as containers have it, serves; what it cannot keep is said', async () => {
  await using backend = await startBackend()
  const [port, preload] = [await freePort(), fileWith(HOMELESS, 'homeless.cjs')]
  const list = fileWith(JSON.stringify([backend.address]), 'orders.json')
  await using proxy = await startProxy(
    { outbound: [{ listen: `127.0.0.1:${port}`, service: 'orders' }], discovery: { files: { orders: list } } },
    {
      NODE_OPTIONS: `--require=${preload}`,
      HOME: undefined,
      XDG_STATE_HOME: undefined,
      XDG_CACHE_HOME: undefined,
      STATE_DIRECTORY: undefined,
    },
  )
  expect((await get(port, '/')).status).toBe(200)
  expect(proxy.err()).toMatch(/this user has no home folder, so last-known endpoints are not kept .*: write state: /)
})

test('a state folder that cannot be written is said in the log and by /ready?verbose, with what to do', async () => {
  await using backend = await startBackend()
  const list = fileWith(JSON.stringify([backend.address]), 'orders.json')
  const state = join(fileWith('', 'a-file'), 'state')
  await using proxy = await startProxy({
    state,
    outbound: [{ listen: `127.0.0.1:${await freePort()}`, service: 'orders' }],
    discovery: { files: { orders: list } },
  })
  await proxy.said('that it cannot be saved', (_out, err) => err.includes('cannot be saved'))
  const remedy = `let this user write to ${state} (under systemd: StateDirectory=outrigger), or write state: /another/folder, or state: off`
  expect(proxy.err()).toContain(remedy)
  const { status, body } = await proxy.admin('/ready?verbose')
  expect([status, body]).toEqual([200, expect.stringMatching(/warn +state +last-known endpoints cannot be saved/)])
  expect(body).toContain(remedy)
})

/** A uid without an entry in the list of users, and no HOME. */
const HOMELESS =
  "require('node:os').homedir = () => { throw new Error('uv_os_homedir returned ENOENT') }; require('node:module').syncBuiltinESMExports()\n"

describe('a proxy that cannot start', () => {
  test('exits 2 and points at the line and column, with the nearest key', async () => {
    const file = fileWith('outbound:\n  - listen: 127.0.0.1:9101\n    servce: orders\n')
    const { code, err, out } = await run(node, [outrigger, 'proxy', '-c', file])
    expect({ code, out }).toEqual({ code: 2, out: '' })
    expect(err).toMatch(new RegExp(`^${file}:3:5: .*servce.*service`))
  })

  test('exits 2 and names all that is wrong at once, over several files', async () => {
    const one = fileWith('workers: none\n', 'one.yaml')
    const two = fileWith('services:\n  orders:\n    timeouts: { request: 5 parsecs }\n', 'two.yaml')
    const { code, err } = await run(node, [outrigger, 'proxy', '-c', one, '-c', two])
    expect(code).toBe(2)
    expect(err).toContain(`${one}:1:10: `)
    expect(err).toContain(`${two}:3:26: `)
  })

  test('exits 2 when a file is not there, and says which', async () => {
    const { code, err } = await run(node, [outrigger, 'proxy', '-c', '/nowhere/sidecar.yaml'])
    expect(code).toBe(2)
    expect(err).toContain('/nowhere/sidecar.yaml')
  })

  test('exits 2 on a wrong command line', async () => {
    const { code, err } = await run(node, [outrigger, 'proxy', '-c', 'x.yaml', '--log-levl', 'debug'])
    expect(code).toBe(2)
    expect(err).toMatch(/--log-levl.*\n?.*--log-level/)
  })

  test.each(['listener', 'admin port'])(
    'exits 1 when the port of the %s is taken, and says which port',
    async which => {
      const [taken, free, admin] = [await freePort(), await freePort(), await freePort()]
      const holder = createServer()
      await new Promise<void>(done => holder.listen(taken, '127.0.0.1', done))
      try {
        const [listen, adminPort] = which === 'listener' ? [taken, admin] : [free, taken]
        const file = fileWith(
          `admin: 127.0.0.1:${adminPort}\noutbound: [{ listen: '127.0.0.1:${listen}', service: orders }]\ndiscovery: { endpoints: { orders: ['127.0.0.1:9'] } }\n`,
        )
        const { code, err, out } = await run(node, [outrigger, 'proxy', '-c', file])
        expect({ code, out }).toEqual({ code: 1, out: '' })
        expect(err).toContain(`127.0.0.1:${taken}`)
        expect(err).toMatch(/address already in use/i)
        expect(err.trimEnd().split('\n')).toHaveLength(1)
      } finally {
        holder.close()
      }
    },
  )
})
