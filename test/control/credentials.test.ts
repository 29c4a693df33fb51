import { expect, test } from 'vitest'
import type { PemTexts, ServiceSpec, TlsSpec } from '../../mesh-config/snapshot.ts'
import { credentials } from '../../proxy/control/credentials.ts'
import { logTape } from '../support/log-tape.ts'
import { serviceSpec, snapshotOf } from '../support/specs.ts'

const tls = (name: string): TlsSpec => ({
  ca: `${name}.ca`,
  cert: null,
  key: null,
  serverName: null,
  minVersion: '1.2',
})
const service = (name: string, from = name): ServiceSpec => ({ ...serviceSpec(name, ['10.0.0.1:443']), tls: tls(from) })
const snapshot = (...services: ServiceSpec[]) => snapshotOf(services, [])

function start() {
  const files = new Map<string, string>()
  const reads: string[] = []
  const watched: string[][] = []
  const log = logTape()
  let news: () => void = () => {}
  let changes = 0
  const parts = credentials({
    async read({ ca }): Promise<PemTexts | string> {
      reads.push(ca!)
      const text = files.get(ca!)
      return text === undefined ? `${ca} cannot be read` : { ca: text, cert: null, key: null }
    },
    watch(names, changed) {
      watched.push([...names])
      news = changed
      return () => void watched.push([])
    },
    changed: () => changes++,
    ticketSecret: () => 'secret',
    log,
  })
  const pemOf = (name: string, of: ReturnType<typeof snapshot>) =>
    parts.into({ snapshot: of, origins: {} }).snapshot.services[name]!.tls?.pem?.ca
  return { parts, files, reads, watched, log, pemOf, changes: () => changes, news: () => news() }
}

test('a snapshot gets what is in the files, and is itself left as it was', async () => {
  const { parts, files, pemOf } = start()
  files.set('orders.ca', 'one')
  const first = snapshot(service('orders'), serviceSpec('plain', []))
  expect(await parts.prepare(first)).toEqual([])
  expect(pemOf('orders', first)).toBe('one')
  expect(first.services.orders!.tls!.pem).toBeUndefined()
  expect(JSON.stringify(first)).not.toContain('"one"')
})

test('files that cannot be used are a reason against the snapshot, which names the service', async () => {
  const { parts } = start()
  expect(await parts.prepare(snapshot(service('orders'), service('stock')))).toEqual([
    'services.orders.tls: orders.ca cannot be read',
    'services.stock.tls: stock.ca cannot be read',
  ])
})

test('services with the same files read them once', async () => {
  const { parts, files, reads } = start()
  files.set('mesh.ca', 'one')
  await parts.prepare(snapshot(service('orders', 'mesh'), service('stock', 'mesh')))
  expect(reads).toEqual(['mesh.ca'])
})

test('changed files are sent anew; unusable ones are said once, and those before stay', async () => {
  const { parts, files, log, pemOf, news, changes } = start()
  files.set('orders.ca', 'one')
  const inForce = snapshot(service('orders'))
  await parts.prepare(inForce)
  parts.commit(inForce)
  files.delete('orders.ca')
  news()
  await expect.poll(() => log.lines().length).toBe(1)
  news()
  await new Promise(resolve => setImmediate(resolve))
  expect(log.lines()).toEqual([
    'warn the certificates of services.orders.tls stay as they are: orders.ca cannot be read',
  ])
  expect([pemOf('orders', inForce), changes()]).toEqual(['one', 0])
  files.set('orders.ca', 'two')
  news()
  await expect.poll(changes).toBe(1)
  expect(pemOf('orders', inForce)).toBe('two')
})

test('only the files of what is in force are watched, and kept', async () => {
  const { parts, files, reads, watched } = start()
  files.set('orders.ca', 'one').set('stock.ca', 'one')
  for (const next of [snapshot(service('orders')), snapshot(service('stock')), snapshot()]) {
    await parts.prepare(next)
    parts.commit(next)
  }
  expect(watched).toEqual([['orders.ca'], [], ['stock.ca'], []])
  await parts.prepare(snapshot(service('orders')))
  expect(reads).toEqual(['orders.ca', 'stock.ca', 'orders.ca'])
})
