import { describe, expect, test } from 'vitest'
import type { ConcurrencySpec } from '../../mesh-config/snapshot.ts'
import { CONCURRENCY_WORDS, Concurrency } from '../../proxy/cluster/concurrency.ts'
import { EventLoop } from '../support/event-loop.ts'
import { seeded } from '../support/random.ts'

const SPEC: ConcurrencySpec = {
  enforce: true,
  minLimit: 3,
  maxLimit: 1000,
  bufferPercent: 25,
  percentile: 50,
  updateMs: 100,
  minRttIntervalMs: 20_000,
  minRttRequests: 50,
  minRttJitterPercent: 15,
}

/** Servers with so many workers each and a queue: the knee is where all workers are busy. */
class Servers {
  serviceMs: (server: number) => number
  readonly #loop: EventLoop
  readonly #workers: number
  readonly #busy: number[]
  readonly #queues: (() => void)[][]

  constructor(loop: EventLoop, count: number, workers: number, serviceMs: (server: number) => number) {
    this.#loop = loop
    this.#workers = workers
    this.serviceMs = serviceMs
    this.#busy = Array(count).fill(0)
    this.#queues = Array.from({ length: count }, () => [])
  }

  ask(server: number, done: () => void): void {
    if (this.#busy[server]! >= this.#workers) this.#queues[server]!.push(done)
    else this.#serve(server, done)
  }

  #serve(server: number, done: () => void): void {
    this.#busy[server]!++
    this.#loop.after(this.serviceMs(server), () => {
      this.#busy[server]!--
      done()
      const next = this.#queues[server]!.shift()
      if (next !== undefined) this.#serve(server, next)
    })
  }
}

/** Requests at a constant rate, of several data threads by turns. */
function load(options: {
  readonly spec?: Partial<ConcurrencySpec>
  readonly perSecond: number
  readonly servers?: number
  readonly workers?: number
  readonly threads?: number
  readonly serviceMs: (server: number) => number
}) {
  const { perSecond, servers: count = 1, workers = 20, threads = 1, serviceMs } = options
  const loop = new EventLoop()
  const random = seeded(7)
  const words = new Int32Array(new SharedArrayBuffer(CONCURRENCY_WORDS * 4))
  const all = Array.from(
    { length: threads },
    (_, thread) =>
      new Concurrency({ ...SPEC, ...options.spec }, { cell: { words, close() {} }, random: seeded(thread + 1) }),
  )
  const servers = new Servers(loop, count, workers, server => serviceMs(server) * (0.9 + 0.2 * random()))
  const at: number[] = Array(count).fill(0)
  let running = 0
  let [turn, accepted, refused, worstMs] = [0, 0, 0, 0]
  const arrive = () => {
    loop.after((1000 / perSecond) * 2 * random(), arrive)
    const concurrency = all[turn++ % threads]!
    if (running >= concurrency.enforced) return void refused++
    running++
    accepted++
    const asked = loop.now
    // As the usual balancer does: of two the one with fewer requests.
    const [one, other] = [Math.floor(random() * count), Math.floor(random() * count)]
    const server = at[one]! <= at[other]! ? one : other
    at[server]!++
    servers.ask(server, () => {
      at[server]!--
      running--
      worstMs = Math.max(worstMs, loop.now - asked)
      concurrency.took(loop.now, loop.now - asked, running + 1)
    })
  }
  arrive()
  return {
    concurrency: all[0]!,
    all,
    servers,
    /** What came of the requests of so many seconds. */
    run(seconds: number) {
      ;[accepted, refused, worstMs] = [0, 0, 0]
      loop.advance(seconds * 1000)
      return { accepted: accepted / seconds, refused: refused / seconds, worstMs, running }
    },
  }
}

describe('adaptive concurrency', () => {
  test('finds a limit near the knee of an overloaded service, and keeps it busy', () => {
    // 20 workers of 50 ms: 400 requests/s, and 800 come.
    const { concurrency, run } = load({ perSecond: 800, serviceMs: () => 50 })
    run(30)
    expect(concurrency.limit).toBeGreaterThanOrEqual(20)
    expect(concurrency.limit).toBeLessThanOrEqual(45)
    const { accepted, worstMs } = run(30)
    expect(accepted).toBeGreaterThan(360)
    expect(worstMs).toBeLessThan(200)
    expect(concurrency.baselineMs).toBeGreaterThan(40)
    expect(concurrency.baselineMs).toBeLessThan(65)
  })

  test('refuses nothing of a service that is not overloaded', () => {
    const { concurrency, run } = load({ perSecond: 200, serviceMs: () => 50 })
    run(10)
    expect(run(60).refused).toBe(0)
    expect(concurrency.limit).toBeGreaterThan(40)
  })

  test('follows a service that becomes slower, and recovers with it', () => {
    const { concurrency, servers, run } = load({ perSecond: 300, serviceMs: () => 50 })
    run(30)
    expect(run(10).refused).toBe(0)
    servers.serviceMs = () => 200
    run(60)
    // 100 requests/s are left of 400. An answer takes longer for good: that is the new baseline.
    const slow = run(30)
    expect(slow.accepted).toBeGreaterThan(85)
    expect(concurrency.limit).toBeLessThan(60)
    servers.serviceMs = () => 50
    run(30)
    expect(run(20).refused).toBeLessThan(3)
  })

  test('does not collapse because of one slow endpoint', () => {
    const { concurrency, run } = load({
      perSecond: 600,
      servers: 5,
      workers: 10,
      serviceMs: server => (server === 0 ? 400 : 20),
    })
    run(30)
    const { accepted } = run(30)
    expect(concurrency.limit).toBeGreaterThan(30)
    expect(accepted).toBeGreaterThan(570)
  })

  test('with advise computes the same and refuses nothing', () => {
    const { concurrency, run } = load({ spec: { enforce: false }, perSecond: 200, serviceMs: () => 50 })
    const { refused } = run(60)
    expect(refused).toBe(0)
    expect([concurrency.enforced, concurrency.limit >= 20]).toEqual([Number.POSITIVE_INFINITY, true])
  })

  test('is one for several data threads', () => {
    const { all, run } = load({ perSecond: 800, threads: 4, serviceMs: () => 50 })
    run(30)
    expect(new Set(all.map(({ limit }) => limit)).size).toBe(1)
    expect(all[0]!.limit).toBeLessThanOrEqual(45)
    expect(run(30).accepted).toBeGreaterThan(360)
  })

  test('stays within its bounds', () => {
    const { concurrency, run } = load({ spec: { minLimit: 30, maxLimit: 35 }, perSecond: 800, serviceMs: () => 50 })
    for (let i = 0; i < 100; i++) {
      run(0.5)
      expect(concurrency.limit).toBeGreaterThanOrEqual(30)
      expect(concurrency.limit).toBeLessThanOrEqual(35)
    }
  })
})
