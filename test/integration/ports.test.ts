import { writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Backend, startBackend } from './support/backend.ts'
import { node, run, startChild, temporaryFolder } from './support/child.ts'
import { freePort } from './support/ports.ts'
import { get, outrigger, type RunningProxy, startProxy } from './support/proxy.ts'
import { until } from './support/until.ts'

// Ports: who has them, how they change hands, and what is said when they cannot be had.

let backend: Backend
beforeAll(async () => {
  backend = await startBackend()
})
afterAll(() => backend.stop())

const discovery = () => ({ endpoints: { orders: [backend.address] } })

async function hold(port: number, host = '127.0.0.1'): Promise<Server> {
  const server = createServer()
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, host, resolve))
  return server
}

/** Callers that connect anew for each request. */
function connecting(port: number) {
  const failures: string[] = []
  let good = 0
  let over = false
  const one = async () => {
    while (!over)
      await get(port, '/').then(
        () => good++,
        (error: Error) => failures.push(String(error)),
      )
  }
  const all = [one(), one(), one()]
  return {
    good: () => good,
    async stop() {
      over = true
      await Promise.all(all)
      return failures
    },
  }
}

const reloaded = (proxy: RunningProxy, times = 1) =>
  until('that it is in force', () => proxy.err().split('is in force').length > times, 20_000)

describe.concurrent('a reload that changes how a port is listened on', () => {
  test.each([1, 2])('the other direction, with %d data threads: no connection is refused', async workers => {
    const port = await freePort()
    await using proxy = await startProxy({
      workers,
      outbound: [{ listen: `127.0.0.1:${port}`, service: 'orders' }],
      discovery: discovery(),
    })
    const callers = connecting(port)
    await until('good answers', () => callers.good() > 20)
    proxy.write({ workers, inbound: [{ listen: `127.0.0.1:${port}`, forward: backend.address }] })
    await reloaded(proxy)
    const before = callers.good()
    await until('good answers after it', () => callers.good() > before + 50)
    expect((await callers.stop()).filter(failure => failure.includes('ECONNREFUSED'))).toEqual([])
    expect((await proxy.admin('/ready?verbose')).body).toContain(`inbound 127.0.0.1:${port}`)
  })

  test.each([1, 2])('all addresses instead of one, and back, with %d data threads', async workers => {
    const port = await freePort()
    const listenOn = (address: string) => ({
      workers,
      outbound: [{ listen: `${address}:${port}`, service: 'orders' }],
      discovery: discovery(),
    })
    await using proxy = await startProxy(listenOn('127.0.0.1'))
    for (const [index, address] of ['0.0.0.0', '127.0.0.1'].entries()) {
      proxy.write(listenOn(address))
      await reloaded(proxy, index + 1)
      expect((await get(port, '/')).status).toBe(200)
      expect((await proxy.admin('/ready?verbose')).body).toContain(`outbound ${address}:${port}`)
    }
    expect(proxy.err()).not.toContain('EADDRINUSE')
  })

  test('a port that was busy is taken up when it is free, without another change of the file', async () => {
    const [port, other] = [await freePort(), await freePort()]
    const listenOn = (...ports: number[]) => ({
      outbound: ports.map(each => ({ listen: `127.0.0.1:${each}`, service: 'orders' })),
      discovery: discovery(),
    })
    await using proxy = await startProxy(listenOn(port))
    const holder = await hold(other)
    proxy.write(listenOn(port, other))
    await until('that it is refused', () => proxy.err().includes('tried again in 1 s'))
    const { body } = await proxy.admin('/ready?verbose')
    expect(body).toMatch(/warn +last reload +refused at \S+, the running configuration stays, tried again at \S+:/)
    expect(body).toContain(`sidecar.yaml:`)
    expect(body).toContain(`cannot listen on 127.0.0.1:${other}: address already in use (EADDRINUSE)`)
    expect((await get(port, '/')).status).toBe(200)
    holder.close()
    await reloaded(proxy)
    expect((await get(other, '/')).status).toBe(200)
  })
})

describe('two sidecars on one port', () => {
  test('with several data threads the second one is refused too, and the first one keeps all connections', async () => {
    const port = await freePort()
    const config = {
      workers: 2,
      outbound: [{ listen: `127.0.0.1:${port}`, service: 'orders' }],
      discovery: discovery(),
    }
    await using first = await startProxy(config)
    const file = join(temporaryFolder(), 'second.yaml')
    writeFileSync(file, JSON.stringify({ ...config, admin: 'off' }, null, 2))
    const { code, out, err } = await run(node, [outrigger, 'proxy', '-c', file])
    expect({ code, out }).toEqual({ code: 1, out: '' })
    expect(err).toContain(
      `${file}:5:17: cannot listen on 127.0.0.1:${port}: address already in use (EADDRINUSE): outrigger (pid ${first.pid}) listens there`,
    )
    expect((await get(port, '/')).status).toBe(200)
  })

  test('a listener that a reload adds is looked at as well', async () => {
    const [port, other] = [await freePort(), await freePort()]
    const config = (...ports: number[]) => ({
      workers: 2,
      outbound: ports.map(each => ({ listen: `127.0.0.1:${each}`, service: 'orders' })),
      discovery: discovery(),
    })
    await using _first = await startProxy(config(port))
    await using second = await startProxy(config(other))
    second.write(config(other, port))
    await until('that it is refused', () => second.err().includes(`cannot listen on 127.0.0.1:${port}`))
    expect((await get(other, '/')).status).toBe(200)
  })
})

describe('what is said of a port that cannot be had', () => {
  const refused = async (config: object, env: NodeJS.ProcessEnv = {}) => {
    const file = join(temporaryFolder(), 'sidecar.yaml')
    writeFileSync(
      file,
      JSON.stringify(
        {
          outbound: [{ listen: `127.0.0.1:${await freePort()}`, service: 'orders' }],
          discovery: discovery(),
          ...config,
        },
        null,
        2,
      ),
    )
    const { code, err } = await run(node, [outrigger, 'proxy', '-c', file], env)
    return {
      code,
      file,
      err: err
        .split('\n')
        .filter(line => !line.startsWith('{'))
        .join('\n'),
    }
  }

  test('which process holds it, by its name without its arguments, and a port that is free', async () => {
    const port = await freePort()
    await using holder = startChild(node, [
      '-e',
      `require('net').createServer().listen(${port}, '127.0.0.1', () => console.log('listens'))`,
      'a-secret',
    ])
    await holder.said('that it listens', out => out.includes('listens'))
    const { code, err, file } = await refused({
      admin: 'off',
      outbound: [{ listen: `127.0.0.1:${port}`, service: 'orders' }],
    })
    expect(code).toBe(1)
    expect(err).toMatch(
      new RegExp(
        `^${file}:\\d+:\\d+: cannot listen on 127\\.0\\.0\\.1:${port}: address already in use \\(EADDRINUSE\\): node \\(pid ${holder.pid}\\) listens there; end that, or choose another port: 127\\.0\\.0\\.1:\\d+ is free\n$`,
      ),
    )
    expect(err).not.toContain('a-secret')
  })

  test('the admin port: its key, and a free one', async () => {
    const port = await freePort()
    const holder = await hold(port)
    try {
      const { code, err, file } = await refused({ admin: `127.0.0.1:${port}` })
      expect(code).toBe(1)
      expect(err).toContain(
        `${file}:15:12: cannot listen on the admin port 127.0.0.1:${port}: address already in use (EADDRINUSE): `,
      )
      expect(err).toContain('; the key is admin:, and admin: off needs none')
    } finally {
      holder.close()
    }
  })

  test('an address that this machine does not have', async () => {
    const { code, err, file } = await refused({
      admin: 'off',
      outbound: [{ listen: '192.0.2.77:8080', service: 'orders' }],
    })
    expect(code).toBe(1)
    expect(err).toContain(
      `${file}:4:17: cannot listen on 192.0.2.77:8080: no interface of this machine has this address (EADDRNOTAVAIL): write 127.0.0.1`,
    )
  })
})

describe('a second sidecar that is no successor', () => {
  test.each([
    ['127.0.0.1', 1, '127.0.0.1', 2],
    ['127.0.0.1', 2, '127.0.0.1', 1],
    ['0.0.0.0', 2, '127.0.0.1', 2],
    ['127.0.0.1', 2, '0.0.0.0', 2],
    ['[::]', 1, '127.0.0.1', 1],
    ['[::]', 2, '0.0.0.0', 2],
    ['[::1]', 2, '[::]', 2],
  ])('%s with %d data threads has the port, %s with %d gets the reason', async (has, hasWorkers, wants, workers) => {
    const port = await freePort()
    const config = (address: string, count: number) => ({
      workers: count,
      inbound: [{ listen: `${address}:${port}`, forward: '127.0.0.1:9' }],
    })
    await using first = await startProxy(config(has, hasWorkers))
    const file = join(temporaryFolder(), 'second.yaml')
    writeFileSync(file, JSON.stringify({ admin: 'off', state: 'off', ...config(wants, workers) }))
    const second = await run(node, [outrigger, 'proxy', '-c', file])
    expect(second.code).toBe(1)
    expect(second.err).toContain(`cannot listen on ${wants}:${port}: address already in use (EADDRINUSE)`)
    expect(second.err).toContain(`outrigger (pid ${first.pid}) listens there`)
    expect(first.running()).toBe(true)
  })
})
