import { createServer, connect as dial, type Socket } from 'node:net'
import { afterEach, beforeAll, expect, test } from 'vitest'
import type { PolicyDocument } from '../../agent/policy/source.ts'
import { zookeeperSource } from '../../agent/policy/zookeeper.ts'
import type { ZooKeeperConnection } from '../../agent/policy/zookeeper-client.ts'
import { until } from './support/until.ts'
import { startZooKeeper, type ZooKeeperServer } from './support/zookeeper.ts'

let server: ZooKeeperServer
let roots = 0
const ends: (() => void)[] = []

beforeAll(async () => {
  server = await startZooKeeper()
})
afterEach(() => {
  for (const end of ends.splice(0)) end()
})

/** A source on a tree of its own, and what it has said so far. */
function watched(options: { readonly port?: number; readonly auth?: string; readonly sessionMs?: number } = {}) {
  const { port = server.port, auth = null, sessionMs = 2_000 } = options
  const root = `/t${++roots}/outrigger`
  const source = zookeeperSource({ servers: [{ address: '127.0.0.1', port }], root, auth, sessionMs })
  const abort = new AbortController()
  ends.push(() => abort.abort())
  const seen = { sets: 0, documents: [] as readonly PolicyDocument[], troubles: [] as string[] }
  source.watch(
    {
      onSet(documents) {
        seen.sets++
        seen.documents = documents
      },
      onTrouble: reason => void seen.troubles.push(reason),
    },
    abort.signal,
  )
  const texts = () => Object.fromEntries(seen.documents.map(({ service, text }) => [service, text]))
  return { root, source, seen, texts }
}

async function make(zk: ZooKeeperConnection, path: string, text: string): Promise<void> {
  const names = path.split('/').slice(1)
  for (let i = 1; i < names.length; i++) await zk.create(`/${names.slice(0, i).join('/')}`, Buffer.alloc(0), false)
  if ((await zk.create(path, Buffer.from(text), false)) === false) await zk.write(path, Buffer.from(text), -1)
}

test('znodes that appear, change and go are followed, also where the tree is not there at first', async () => {
  const { root, seen, texts } = watched()
  await expect.poll(() => seen.sets).toBeGreaterThan(0)
  expect(seen.documents).toEqual([])
  const zk = await server.client()
  await make(zk, `${root}/services/orders`, 'one')
  await make(zk, `${root}/defaults`, 'all')
  await expect.poll(texts).toEqual({ orders: 'one', '*': 'all' })
  const before = seen.documents.find(({ service }) => service === 'orders')!
  expect(before.at).toBe(`zookeeper ${root}/services/orders`)
  await make(zk, `${root}/services/orders`, 'two')
  await make(zk, `${root}/services/stock`, 'three')
  await expect.poll(texts).toEqual({ orders: 'two', stock: 'three', '*': 'all' })
  expect(seen.documents.find(({ service }) => service === 'orders')!.version).not.toBe(before.version)
  // A second change of the same znode: the watch is set anew each time.
  await make(zk, `${root}/services/orders`, 'four')
  await zk.remove(`${root}/services/stock`)
  await zk.remove(`${root}/defaults`)
  await expect.poll(texts).toEqual({ orders: 'four' })
  expect(seen.troubles).toEqual([])
})

test('a server killed and started again: the documents stay, and the next change arrives', async () => {
  const { root, seen, texts } = watched()
  const zk = await server.client()
  await make(zk, `${root}/services/orders`, 'one')
  await expect.poll(texts).toEqual({ orders: 'one' })
  await server.kill()
  await until('trouble', () => seen.troubles.length > 0)
  expect(texts()).toEqual({ orders: 'one' })
  expect(seen.troubles[0]).toContain(`127.0.0.1:${server.port}`)
  const sets = seen.sets
  await server.start()
  await until('it is read again', () => seen.sets > sets)
  expect(texts()).toEqual({ orders: 'one' })
  const again = await server.client()
  await make(again, `${root}/services/orders`, 'two')
  await expect.poll(texts).toEqual({ orders: 'two' })
})

test('a server that stands still is noticed, and followed again when it goes on', async () => {
  const { root, seen, texts } = watched({ sessionMs: 1_000 })
  const zk = await server.client()
  await make(zk, `${root}/services/orders`, 'one')
  await expect.poll(texts).toEqual({ orders: 'one' })
  await server.child().freeze()
  await until('trouble', () => seen.troubles.some(reason => reason.includes('silent')))
  expect(texts()).toEqual({ orders: 'one' })
  server.child().signal('SIGCONT')
  const other = await server.client()
  await make(other, `${root}/services/orders`, 'two')
  await until('the change', () => texts().orders === 'two')
})

test('a session that expires behind a dead connection is replaced', async () => {
  let stalled = false
  const sockets: Socket[] = []
  const relay = createServer(inbound => {
    const outbound = dial(server.port, '127.0.0.1')
    sockets.push(inbound, outbound)
    const old = sockets.length
    inbound.on('data', chunk => (stalled && old === 2 ? undefined : outbound.write(chunk)))
    outbound.on('data', chunk => (stalled && old === 2 ? undefined : inbound.write(chunk)))
    for (const socket of [inbound, outbound]) socket.on('error', () => {})
    inbound.on('close', () => outbound.destroy())
  })
  await new Promise<void>(done => relay.listen(0, '127.0.0.1', done))
  ends.push(() => {
    relay.close()
    for (const socket of sockets) socket.destroy()
  })
  const { port } = relay.address() as { port: number }
  const { root, seen, texts } = watched({ port, sessionMs: 1_000 })
  const zk = await server.client()
  await make(zk, `${root}/services/orders`, 'one')
  await expect.poll(texts).toEqual({ orders: 'one' })
  stalled = true
  await make(zk, `${root}/services/orders`, 'two')
  await until('the new session has read it', () => texts().orders === 'two')
  expect(seen.troubles.join()).toContain('silent')
  await make(zk, `${root}/services/orders`, 'three')
  await expect.poll(texts).toEqual({ orders: 'three' })
})

test('a znode of 5 MB and one that may not be read are refused alone', async () => {
  const { root, seen, texts } = watched()
  const zk = await server.client()
  await make(zk, `${root}/services/orders`, 'one')
  await make(zk, `${root}/services/large`, 'x'.repeat(5_000_000))
  const owner = await server.client('anna:secret')
  await owner.create(`${root}/services/private`, Buffer.from('mine'), false)
  await expect.poll(texts).toEqual({ orders: 'one', large: '', private: '' })
  const errors = (name: string) => seen.documents.find(({ service }) => service === name)!.errors.join()
  expect(errors('large')).toContain('5000000 bytes')
  expect(errors('private')).toContain('no permission')
  await make(zk, `${root}/services/orders`, 'two')
  await expect.poll(() => texts().orders).toBe('two')
  expect(seen.troubles).toEqual([])
})

test('with the user of the digest scheme its znodes are read', async () => {
  const { root, texts } = watched({ auth: 'anna:secret' })
  const owner = await server.client('anna:secret')
  await make(owner, `${root}/services/orders`, 'mine')
  await expect.poll(texts).toEqual({ orders: 'mine' })
})

test('what is put has a condition and a history, and a change by hand is in it', async () => {
  const { root, source, texts, seen } = watched()
  await expect.poll(() => seen.sets).toBeGreaterThan(0)
  const store = source.store!
  const version = (text: string) => ({ service: 'orders', text, author: 'anna', comment: text, at: 1_000 })
  const first = await store.put(version('one'), '')
  await expect(store.put(version('one'), '')).rejects.toThrow('there is a document for orders already')
  const second = await store.put(version('two'), first)
  await expect(store.put(version('three'), first)).rejects.toThrow('has changed meanwhile')
  await expect.poll(texts).toEqual({ orders: 'two' })
  expect(seen.documents[0]!.version).toBe(second)
  const zk = await server.client()
  await make(zk, `${root}/services/orders`, 'by hand')
  const history = await store.history('orders')
  expect(history.map(({ text, author }) => [text, author])).toEqual([
    ['by hand', ''],
    ['two', 'anna'],
    ['one', 'anna'],
  ])
  for (let i = 0; i < 55; i++) await store.put({ ...version(`n${i}`), service: '*' }, null)
  expect(await store.history('*')).toHaveLength(50)
  await expect.poll(() => texts()['*']).toBe('n54')
})

test('no server: trouble that names it, and puts say so', async () => {
  const closed = createServer()
  await new Promise<void>(done => closed.listen(0, '127.0.0.1', done))
  const { port } = closed.address() as { port: number }
  closed.close()
  const { source, seen } = watched({ port })
  await until('trouble', () => seen.troubles.length > 1)
  expect(seen.troubles[0]).toBe(`127.0.0.1:${port}: ECONNREFUSED`)
  const document = { service: 'orders', text: '', author: '', comment: '', at: 0 }
  await expect(source.store!.put(document, null)).rejects.toThrow(`ZooKeeper cannot be reached: 127.0.0.1:${port}`)
})
