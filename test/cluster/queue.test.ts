import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { ConcurrencySpec, PrioritySpec, QueueSpec, RouteSpec } from '../../mesh-config/snapshot.ts'
import { RequestQueue } from '../../proxy/cluster/queue.ts'
import type { AdmissionWaiter } from '../../proxy/core/admission.ts'
import { CELL_MEMORY_BYTES } from '../../proxy/core/cells.ts'
import type { Failure } from '../../proxy/core/failure.ts'
import type { Priority } from '../../proxy/core/priority.ts'
import { sharedCells } from '../../proxy/runtime/shared-cells.ts'
import { manualClock } from '../support/clock.ts'
import { EventLoop } from '../support/event-loop.ts'
import { Mesh, type MeshOptions } from '../support/mesh.ts'
import { A, expectQuiet } from '../support/orders.ts'
import { listenerSpec, matchSpec, routeSpec, type ServiceOverrides, serviceSpec, snapshotOf } from '../support/specs.ts'
import { ok, silent } from '../support/upstream.ts'

const SPEC: QueueSpec = { requests: 10, intervalMs: 100, targetMs: 10 }

/** A queue before a service that takes as many as the test says. */
function queueOf(overrides: Partial<QueueSpec> = {}, leastMs = 0) {
  const loop = new EventLoop()
  const told: string[] = []
  const owner = { free: 0, leastMs, isShared: false }
  const queue = new RequestQueue(
    { ...SPEC, ...overrides },
    {
      take: () => owner.free > 0 && owner.free-- > 0,
      give: () => void owner.free++,
      leastMs,
      isShared: false,
    },
    manualClock(loop),
  )
  const waiter = (name: string, priority: Priority = 1, deadlineAt = 0): AdmissionWaiter => ({
    priority,
    deadlineAt,
    admitted: () => void told.push(name),
    refused: (failure: Failure, detail: string) => void told.push(`${name} refused: ${failure.failure}, ${detail}`),
  })
  return {
    loop,
    queue,
    told,
    join: (name: string, priority?: Priority, deadlineAt?: number) =>
      queue.join(waiter(name, priority, deadlineAt), loop.now),
    free(count: number) {
      owner.free += count
      queue.serve(loop.now)
    },
  }
}

describe('a queue', () => {
  test('serves in order, as long as it empties now and then', () => {
    const { join, free, told } = queueOf()
    for (const name of ['a', 'b', 'c']) join(name)
    free(2)
    expect(told).toEqual(['a', 'b'])
  })

  test('lets nobody wait longer than the interval, and no longer than the target once it does not empty', () => {
    const { join, loop, told } = queueOf()
    join('a')
    loop.advance(95)
    expect(told).toEqual([])
    join('b')
    loop.advance(10)
    expect(told).toEqual(['a refused: pool-overflow, `queue`: no permit within 100 ms'])
    join('c')
    loop.advance(20)
    expect(told.slice(1)).toEqual([
      'b refused: pool-overflow, `queue`: no permit within 10 ms',
      'c refused: pool-overflow, `queue`: no permit within 10 ms',
    ])
  })

  test('serves the newest first once it does not empty', () => {
    const { join, free, loop, told } = queueOf({ targetMs: 50 })
    join('old')
    for (let i = 0; i < 3; i++) {
      loop.advance(45)
      join(`${i}`)
    }
    free(1)
    expect(told.at(-1)).toBe('2')
  })

  test('serves the important first, and of the others one in eight', () => {
    const { join, free, told } = queueOf({ requests: 100 })
    for (let i = 0; i < 20; i++) join(`high ${i}`, 0)
    for (let i = 0; i < 4; i++) join(`low ${i}`, 2)
    free(16)
    expect(told.filter(name => name.startsWith('low'))).toEqual(['low 0', 'low 1'])
    expect(told.slice(0, 7)).toEqual(Array.from({ length: 7 }, (_, i) => `high ${i}`))
  })

  test('sheds the lowest priority first when it is full, and what comes last among equals', () => {
    const { join, told } = queueOf({ requests: 2 })
    join('low', 2)
    join('normal', 1)
    expect(join('another', 1)).toBe(true)
    expect(told).toEqual(['low refused: pool-overflow, `queue.requests`: a request of a higher priority came'])
    expect(join('one more', 1)).toBe(false)
    expect(join('low again', 2)).toBe(false)
    expect(join('high', 0)).toBe(true)
    expect(told.at(-1)).toMatch('normal refused')
  })

  test('gives no permit to a request whose time cannot suffice', () => {
    const { join, free, loop, told } = queueOf({}, 20)
    join('late', 1, loop.now + 30)
    join('in time', 1, loop.now + 200)
    loop.advance(15)
    free(1)
    expect(told).toEqual([
      'late refused: deadline-exceeded, what was left of it in the queue is less than an answer takes',
      'in time',
    ])
  })

  test('tells everyone exactly once, whatever comes', () => {
    const step = fc.record({
      what: fc.constantFrom('join', 'join', 'free', 'leave', 'wait'),
      priority: fc.constantFrom<Priority>(0, 1, 2),
      ms: fc.nat(60),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 100 }), steps => {
        const loop = new EventLoop()
        let free = 0
        const queue = new RequestQueue(
          { requests: 5, intervalMs: 100, targetMs: 10 },
          { take: () => free > 0 && free-- > 0, give: () => void free++, leastMs: 0, isShared: false },
          manualClock(loop),
        )
        const waiting = new Map<AdmissionWaiter, number>()
        for (const { what, priority, ms } of steps) {
          if (what === 'wait') loop.advance(ms)
          else if (what === 'free') {
            free++
            queue.serve(loop.now)
          } else if (what === 'leave') {
            const [waiter] = waiting.keys()
            if (waiter !== undefined) queue.leave(waiter)
            if (waiter !== undefined) waiting.delete(waiter)
          } else {
            const over = () => expect(waiting.delete(waiter)).toBe(true)
            const waiter: AdmissionWaiter = { priority, deadlineAt: 0, admitted: over, refused: over }
            waiting.set(waiter, loop.now)
            if (!queue.join(waiter, loop.now)) waiting.delete(waiter)
          }
          expect(queue.length).toBe(waiting.size)
          expect(queue.length).toBeLessThanOrEqual(5)
          for (const since of waiting.values()) expect(loop.now - since).toBeLessThanOrEqual(110)
        }
      }),
      { numRuns: 200 },
    )
  })
})

function started(
  service: ServiceOverrides & {
    readonly queue?: QueueSpec
    readonly priority?: PrioritySpec
    readonly concurrency?: ConcurrencySpec
  },
  options: MeshOptions = {},
) {
  const { queue = SPEC, priority, concurrency, ...overrides } = service
  const orders = {
    ...serviceSpec('orders', [A], overrides),
    queue,
    ...(priority === undefined ? {} : { priority }),
    ...(concurrency === undefined ? {} : { concurrency }),
  }
  return Mesh.start(snapshotOf([orders], [listenerSpec({ service: 'orders' })]), options)
}

/** Answers what waits at the endpoint for the longest. */
function answerOne(mesh: Mesh): void {
  const connection = mesh
    .upstream(A)
    .open.find(({ reader }) => reader.messages.length > 0 && !answered.has(reader.messages.at(-1)!))!
  const message = connection.reader.messages.at(-1)!
  answered.add(message)
  ok(message, connection)
  mesh.settle()
}
const answered = new WeakSet<object>()

describe('in the proxy', () => {
  test('requests over the limit wait for a permit, and say so', async () => {
    const mesh = await started({ limits: { requests: 1 } })
    mesh.upstream(A).answer = silent
    mesh.caller().get()
    mesh.settle()
    const waits = mesh.caller().get()
    mesh.advance(30)
    expect(waits.statuses).toEqual([])
    expect(mesh.endpoints()[0]!.notes).toContain('queue: 1 wait')
    answerOne(mesh)
    answerOne(mesh)
    expect(waits.statuses).toEqual([200])
    expect(mesh.flight.notes).toEqual(['queue: it waited 30 ms for a permit'])
    const [first, second] = [mesh.caller().get(), mesh.caller().get()]
    mesh.settle()
    expect([first.statuses, second.statuses]).toEqual([[], []])
    mesh.advance(110)
    expect(second.statuses).toEqual([503])
    expect(mesh.flight).toMatchObject({ flag: 'UO', detail: '`queue`: no permit within 100 ms' })
    answerOne(mesh)
    expectQuiet(mesh)
  })

  test('a caller that goes away leaves the queue', async () => {
    const mesh = await started({ limits: { requests: 1 } })
    mesh.upstream(A).answer = silent
    mesh.caller().get()
    mesh.settle()
    mesh.caller().get().close()
    mesh.settle()
    expect(mesh.endpoints()[0]!.notes).toEqual(['limits: 1 of 1 requests in use'])
    answerOne(mesh)
    expect(mesh.upstream(A).requests).toHaveLength(1)
    expectQuiet(mesh)
  })

  test('a full queue of one route changes nothing for what is more important', async () => {
    const routes: RouteSpec[] = [
      {
        ...routeSpec({ name: 'batch', match: matchSpec({ path: { kind: 'prefix', value: '/batch' } }) }),
        priority: 'low',
      },
      routeSpec({ name: 'rest' }),
    ]
    const priority: PrioritySpec = { header: 'x-priority', usual: 'normal' }
    const mesh = await started({ limits: { requests: 2 }, queue: { ...SPEC, requests: 4 }, routes, priority })
    mesh.upstream(A).answer = silent
    for (let i = 0; i < 6; i++) mesh.caller().get('/batch')
    mesh.settle()
    const normal = mesh.caller().get('/')
    const high = mesh.caller().get('/batch', 'X-Priority: high\r\n')
    mesh.settle()
    expect(mesh.callers.map(({ statuses }) => statuses)).toEqual([[], [], [503], [503], [], [], [], []])
    answerOne(mesh)
    expect(mesh.upstream(A).requests.at(-1)!.headers).toContainEqual(['X-Priority', 'high'])
    answerOne(mesh)
    expect(mesh.upstream(A).requests.at(-1)!.startLine).toBe('GET / HTTP/1.1')
    for (let i = 0; i < 4; i++) answerOne(mesh)
    expect([normal.statuses, high.statuses]).toEqual([[200], [200]])
    expectQuiet(mesh)
  })

  test('a permit that another data thread gives back is noticed', async () => {
    const memory = new SharedArrayBuffer(CELL_MEMORY_BYTES)
    const loop = new EventLoop()
    const [first, second] = await Promise.all(
      [0, 1].map(thread => started({ limits: { requests: 1 } }, { cells: sharedCells(memory, thread, 2), loop })),
    )
    first!.upstream(A).answer = silent
    first!.caller().get()
    loop.settle()
    const waits = second!.caller().get()
    loop.advance(20)
    expect(waits.statuses).toEqual([])
    answerOne(first!)
    expect(first!.callers[0]!.statuses).toEqual([200])
    loop.advance(20)
    expect(waits.statuses).toEqual([200])
  })

  test('holds for what waits for a connection too: a short wait, the newest first while the line does not empty', async () => {
    const mesh = await started({ limits: { connections: 1 }, queue: { requests: 10, intervalMs: 100, targetMs: 60 } })
    mesh.upstream(A).answer = silent
    const order: string[] = []
    mesh.upstream(A).onHead = ({ startLine }) => void order.push(startLine.split(' ')[1]!)
    const ask = (path: string) => {
      const caller = mesh.caller().get(path)
      mesh.settle()
      return caller
    }
    ask('/first')
    const oldest = ask('/oldest')
    for (const path of ['/a', '/b', '/c']) {
      mesh.advance(40)
      ask(path)
    }
    // The line was there for 120 ms: nobody waits longer than 60 ms any more.
    expect(oldest.statuses).toEqual([503])
    expect(mesh.flights(true).at(-1)).toMatchObject({ failure: 'pending-timeout', flag: 'UO' })
    for (let i = 0; i < 2; i++) answerOne(mesh)
    expect(order).toEqual(['/first', '/c', '/b'])
    for (const caller of mesh.callers) caller.close()
    mesh.advance(1000)
    expectQuiet(mesh)
  })

  test('an enforced concurrency lets requests wait, or refuses them with a reason of its own', async () => {
    const concurrency: ConcurrencySpec = {
      enforce: true,
      minLimit: 1,
      maxLimit: 1,
      bufferPercent: 25,
      percentile: 50,
      updateMs: 100,
      minRttIntervalMs: 60_000,
      minRttRequests: 50,
      minRttJitterPercent: 15,
    }
    const mesh = await started({ concurrency, queue: { ...SPEC, requests: 1 } })
    mesh.upstream(A).answer = silent
    for (let i = 0; i < 3; i++) mesh.caller().get()
    mesh.settle()
    expect(mesh.callers.map(({ statuses }) => statuses)).toEqual([[], [], [503]])
    expect(mesh.flight).toMatchObject({ flag: 'UO', failure: 'concurrency-limit', detail: '`queue.requests`' })
    mesh.advance(1000)
    expect(mesh.stat('outrigger_concurrency_limit', { service: 'orders' })).toBe(1)
    expect(mesh.endpoints()[0]!.notes).toEqual(['concurrency: limit 1, 1 under way; not measured yet'])
  })
})
