import { expect, test } from 'vitest'
import type { ConsulServiceSpec } from '../../../mesh-config/snapshot.ts'
import { consulSource } from '../../../proxy/discovery/consul/source.ts'
import { discovery } from '../../../proxy/discovery/discovery.ts'
import { lastKnown } from '../../../proxy/discovery/last-known.ts'
import { logTape } from '../../support/log-tape.ts'
import { seeded } from '../../support/random.ts'
import { entry } from './entries.ts'
import { registry } from './registry.ts'
import { virtualTime } from './tape.ts'

const orders: ConsulServiceSpec = {
  service: 'orders',
  name: 'orders',
  datacenter: null,
  tags: [],
  addressKind: 'service',
  failover: [],
}

/** Instances of one service in Consul; every port takes connections for ever, because others have it by then. */
function mesh(ports: readonly number[]) {
  const time = virtualTime()
  const log = logTape()
  const { clock } = time
  const made = registry(time)
  for (const port of ports) made.registry.put('orders', `i${port}`, entry({ ID: `i${port}`, Port: port }))
  const discovered = discovery({
    clock,
    log,
    random: seeded(1),
    probe: (_endpoint, answered) => clock.timer(() => answered(true)).arm(10),
    lastKnown: lastKnown({ folder: null, clock, log }),
    massRemovalPercent: () => 50,
    changed: () => {},
  })
  discovered.configure([
    {
      name: 'orders',
      fixed: [],
      sources: [{ key: 'consul', source: consulSource(orders, made.client, { clock, random: seeded(5), log }) }],
      subsetSize: 0,
      subsets: {},
    },
  ])
  return {
    time,
    ...made,
    drop: (port: number) => made.registry.drop('orders', `i${port}`),
    use: () => discovered.endpointsOf('orders').map(({ port }) => port),
    suspects: () => discovered.status('orders')!.sources[0]!.suspects,
  }
}

test('scale-in from three to one: the second that leaves is doubted for two seconds, not for minutes, also where its port belongs to others by then', async () => {
  const { time, drop, use, suspects } = mesh([1, 2, 3])
  await time.pass(1_000)
  drop(1)
  await time.pass(300)
  expect(use()).toEqual([2, 3])
  drop(2)
  await time.pass(300)
  expect([use(), suspects()]).toEqual([[2, 3], 1])
  await time.pass(2_500)
  expect([use(), suspects()]).toEqual([[3], 0])
})

test('most at once: the same; and afterwards the questions wait again', async () => {
  const { time, drop, use, registry } = mesh([1, 2, 3, 4, 5])
  await time.pass(1_000)
  for (const port of [1, 2, 3]) drop(port)
  await time.pass(3_000)
  expect(use()).toEqual([4, 5])
  registry.asked()
  await time.pass(30_000)
  expect(registry.asked().length).toBeLessThanOrEqual(1)
})

test('while it is doubted news is heard at once', async () => {
  const { time, drop, use, registry } = mesh([1, 2, 3, 4, 5])
  await time.pass(1_000)
  for (const port of [1, 2, 3]) drop(port)
  await time.pass(700)
  registry.put('orders', 'i9', entry({ ID: 'i9', Port: 9 }))
  await time.pass(300)
  expect(use()).toContain(9)
  await time.pass(3_000)
  expect(use()).toEqual([4, 5, 9])
})

test('an instance that comes and goes does not keep the others in doubt', async () => {
  const { time, drop, use, registry } = mesh([1, 2, 3, 4, 5, 6])
  await time.pass(1_000)
  for (const port of [1, 2, 3, 4]) drop(port)
  for (let i = 0; i < 20; i++) {
    await time.pass(600)
    registry.put('orders', 'i1', entry({ ID: 'i1', Port: 1 }))
    await time.pass(300)
    drop(1)
  }
  expect(use().filter(port => port > 1)).toEqual([5, 6])
})
