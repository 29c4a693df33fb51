import { EventLoop } from '../../support/event-loop.ts'
import { KeptCallers } from '../../support/kept-callers.ts'
import { Mesh } from '../../support/mesh.ts'
import { between, seeded } from '../../support/random.ts'
import { listenerSpec, type ServiceOverrides, serviceSpec, snapshotOf } from '../../support/specs.ts'
import { UpstreamEnd } from '../../support/upstream.ts'

/**
 * An application with a cache before a store of finite capacity (Bronson et al., "Metastable failures in distributed
 * systems", HotOS 2021). The cache is lost and the load is four times as much for five seconds. After that the store could
 * carry all of the load without any cache; what decides is how much of its work is in vain.
 */

/** 8 workers with 40 ms a request: 200 a second. Two that wait longer than a try may take: worked off in vain. */
export const STORE = { instances: 2, workers: 4, workMs: 40, queue: 200 } as const
export const CAPACITY = (STORE.instances * STORE.workers * 1000) / STORE.workMs
/** Lookups a second: three of five seconds of capacity, even if the cache had nothing. */
export const LOAD = 120
export const SPIKE = { fromMs: 20_000, toMs: 25_000, factor: 4 } as const
export const RUN_MS = 70_000
/** Four of five lookups are hits: each key is asked for every two seconds and kept for eight. */
const KEYS = 240
const KEPT_MS = 8000
const STEP_MS = 10

export interface Course {
  /** Second by second. */
  readonly asked: readonly number[]
  readonly good: readonly number[]
  /** Requests that the store was sent. */
  readonly offered: readonly number[]
  /** From the end of the spike until nine of ten lookups succeed for good, in seconds; null: they never do. */
  readonly recoveredAfterS: number | null
}

export async function metastable(policy: ServiceOverrides, seed = 1): Promise<Course> {
  const loop = new EventLoop()
  const random = seeded(seed)
  const from = loop.now
  const seconds = RUN_MS / 1000
  const count = () => Array.from({ length: seconds }, () => 0)
  const [asked, good, offered] = [count(), count(), count()]
  const second = () => Math.min(seconds - 1, Math.floor((loop.now - from) / 1000))
  const names = Array.from({ length: STORE.instances }, (_, i) => `10.0.0.${i + 1}:80`)
  const mesh = await Mesh.start(
    snapshotOf(
      [serviceSpec('store', names, { balancer: 'least_request', ...policy })],
      [listenerSpec({ service: 'store' })],
    ),
    { loop, seed },
  )
  for (const name of names) {
    const store = new Store(loop, random)
    const upstream = mesh.upstream(name)
    upstream.serve = wire => {
      const end = new UpstreamEnd(upstream, wire)
      end.keep = false
    }
    upstream.answer = (_request, end) => {
      offered[second()]!++
      store.take(status => {
        if (!end.over) end.send(`HTTP/1.1 ${status} Any\r\nContent-Length: 0\r\n\r\n`)
      })
    }
  }

  const kept = new KeptCallers(mesh)
  const freshUntil = new Map<number, number>()
  const lookUp = () => {
    const at = second()
    const key = between(random, 1, KEYS)
    asked[at]!++
    if ((freshUntil.get(key) ?? 0) > loop.now) return void good[at]!++
    kept.ask(`GET /${key} HTTP/1.1\r\nHost: store\r\n\r\n`, 'GET', {
      over(answer) {
        if (answer?.status !== 200) return
        // Counted where it was asked, so that a second's share of failures is that of its callers.
        good[at]!++
        freshUntil.set(key, loop.now + KEPT_MS)
      },
    })
  }
  // As it is after a while: most of the keys are there.
  for (let key = 1; key <= KEYS; key++) freshUntil.set(key, loop.now + random() * 1.25 * KEPT_MS)
  let due = 0
  for (let at = 0; at < RUN_MS; at += STEP_MS) {
    if (at === SPIKE.fromMs) freshUntil.clear()
    const isSpike = at >= SPIKE.fromMs && at < SPIKE.toMs
    due += (LOAD * (isSpike ? SPIKE.factor : 1) * STEP_MS) / 1000
    for (; due >= 1; due--) lookUp()
    loop.advance(STEP_MS)
  }
  loop.advance(20_000)
  return { asked, good, offered, recoveredAfterS: recoveredAfterS(asked, good) }
}

function recoveredAfterS(asked: readonly number[], good: readonly number[]): number | null {
  const lastBad = asked.findLastIndex((count, i) => good[i]! < 0.9 * count)
  if (lastBad >= asked.length - 3) return null
  return Math.max(0, lastBad + 1 - SPIKE.toMs / 1000)
}

/** An instance: workers, a queue, and no idea of who has given up. */
class Store {
  readonly #loop: EventLoop
  readonly #random: () => number
  readonly #queue: ((status: number) => void)[] = []
  #busy = 0

  constructor(loop: EventLoop, random: () => number) {
    this.#loop = loop
    this.#random = random
  }

  take(answer: (status: number) => void): void {
    if (this.#queue.length >= STORE.queue) return void this.#loop.after(1, () => answer(503))
    this.#queue.push(answer)
    this.#work()
  }

  #work(): void {
    if (this.#busy === STORE.workers || this.#queue.length === 0) return
    const answer = this.#queue.shift()!
    this.#busy++
    this.#loop.after(-Math.log(1 - this.#random()) * STORE.workMs, () => {
      this.#busy--
      answer(200)
      this.#work()
    })
  }
}
