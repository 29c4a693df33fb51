import { Worker } from 'node:worker_threads'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { KeyHash } from '../../proxy/filter/key-hash.ts'
import { type BucketRate, TokenBuckets, wordsOfBuckets } from '../../proxy/filter/token-buckets.ts'
import { seeded } from '../support/random.ts'
import '../support/seed.ts'

const MANY = 1000

function bucketsOf(rate: BucketRate, keys = 1, now = 0, words = new Int32Array(wordsOfBuckets(keys))): TokenBuckets {
  return new TokenBuckets(words, keys, rate, seeded(1), now)
}

/** Of the nth key that somebody made up. */
function keyed(buckets: TokenBuckets): (name: string) => KeyHash {
  const hash = new KeyHash()
  return name => {
    hash.begin()
    hash.text(name)
    hash.end(buckets.key0, buckets.key1)
    return hash
  }
}

describe('one bucket', () => {
  test('holds its burst, then gives its rate: 1000/s with a burst of 200', () => {
    const buckets = bucketsOf({ perSecond: 1000, burst: 200 })
    let taken = 0
    for (let i = 0; i < 500; i++) if (buckets.take(0, 0, 0) >= 0) taken++
    expect(taken).toBe(200)
    for (let now = 1; now <= 1000; now++) for (let i = 0; i < 3; i++) if (buckets.take(0, 0, now) >= 0) taken++
    expect(taken).toBe(1200)
  })

  test('says how many are left, and when the next one comes', () => {
    const buckets = bucketsOf({ perSecond: 2, burst: 3 })
    expect([0, 0, 0, 0].map(now => buckets.take(0, 0, now))).toEqual([2, 1, 0, -500])
    expect(buckets.look(0, 0, 100)).toBe(-400)
    expect(buckets.take(0, 0, 499)).toBe(-1)
    expect(buckets.take(0, 0, 500)).toBe(0)
    expect(buckets.look(0, 0, 5000)).toBe(2)
  })

  test('a token that is given back is there again', () => {
    const buckets = bucketsOf({ perSecond: 1, burst: 1 })
    expect(buckets.take(0, 0, 0)).toBe(0)
    buckets.giveBack(0, 0)
    expect(buckets.take(0, 0, 0)).toBe(0)
    expect(buckets.take(0, 0, 0)).toBe(-1000)
  })

  test('whatever the rate, the burst and the times: never more than burst + rate x time, and no fewer where asked', () => {
    const rates = fc.record({
      perSecond: fc.oneof(fc.integer({ min: 1, max: 1_000_000 }), fc.constantFrom(1 / 60, 1 / 3600, 10 / 86_400)),
      burst: fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 1_000_000 })),
    })
    const steps = fc.array(fc.record({ after: fc.nat(2000), asks: fc.nat(30) }), { minLength: 1, maxLength: 60 })
    fc.assert(
      fc.property(rates, steps, fc.double({ min: 0, max: 1e10, noNaN: true }), (rate, all, begin) => {
        const buckets = bucketsOf(rate, 1, begin)
        let now = begin
        let taken = 0
        // The same as numbers with fractions.
        let level = rate.burst
        for (const { after, asks } of all) {
          now += after
          level = Math.min(rate.burst, level + (after * rate.perSecond) / 1000)
          for (let i = 0; i < asks; i++) {
            const got = buckets.take(0, 0, now) >= 0
            // A tick more or less.
            if (level >= 1.01 + rate.perSecond / 1000) expect(got).toBe(true)
            if (!got) continue
            taken++
            level = Math.max(0, level - 1)
          }
        }
        const most = rate.burst + ((now - begin) * rate.perSecond) / 1000 + 1
        expect(taken).toBeLessThanOrEqual(most)
      }),
    )
  })

  test.each([
    ['1000/s', 1000, 200],
    ['a million a second', 1_000_000, 1_000_000],
    ['one a day', 1 / 86_400, 10],
  ])('%s: after any time without a request it is full', (_name, perSecond, burst) => {
    const day = 86_400_000
    for (const pause of [
      1,
      60_000,
      18 * 60_000,
      71.6 * 60_000,
      72 * 60_000,
      day,
      25 * day,
      49.7 * day,
      50 * day,
      400 * day,
    ]) {
      const buckets = bucketsOf({ perSecond, burst }, 1, 5 * day)
      for (let i = 0; i < Math.min(burst, 10); i++) buckets.take(0, 0, 5 * day)
      if ((pause * perSecond) / 1000 < Math.min(burst, 10) + 1) continue
      expect(buckets.look(0, 0, 5 * day + pause), `after ${pause} ms`).toBe(burst - 1)
      expect(buckets.take(0, 0, 5 * day + pause), `after ${pause} ms`).toBe(burst - 1)
    }
  })
})

describe('a bucket for each key', () => {
  test('what one key takes, another has all the same', () => {
    const buckets = bucketsOf({ perSecond: 10, burst: 5 }, 100)
    const key = keyed(buckets)
    const take = (name: string) => {
      const { high, low } = key(name)
      return buckets.take(high, low, 0)
    }
    for (let i = 0; i < 20; i++) take('loud')
    expect(take('loud')).toBe(-100)
    for (let i = 0; i < 50; i++) expect(take(`caller ${i}`)).toBe(4)
  })

  test('100,000 keys have a bucket each, in 3 MiB', () => {
    const buckets = bucketsOf({ perSecond: 0.001, burst: 1 }, 100_000)
    expect(wordsOfBuckets(100_000) * 4).toBeLessThan(3 * 1024 ** 2)
    const key = keyed(buckets)
    let allowed = 0
    for (let round = 0; round < 2; round++)
      for (let i = 0; i < 100_000; i++) {
        const { high, low } = key(`caller ${i}`)
        if (buckets.take(high, low, 0) >= 0) allowed++
      }
    // Sets fill alike, but for a few.
    expect(buckets.evicted).toBeLessThan(10)
    expect(allowed).toBeLessThan(100_010)
  })

  test('a million made-up keys push out each other, and no bucket that is in use', () => {
    const buckets = bucketsOf({ perSecond: 1, burst: 20 }, 10_000)
    const key = keyed(buckets)
    const take = (name: string, now: number) => {
      const { high, low } = key(name)
      return buckets.take(high, low, now)
    }
    let allowed = 0
    const ask = (now: number) => {
      for (let caller = 0; caller < 100; caller++) if (take(`busy ${caller}`, now) >= 0) allowed++
    }
    for (let i = 0; i < 20; i++) ask(0)
    for (let i = 0; i < 1_000_000; i++) {
      take(`made up ${i}`, 0)
      if (i % 10_000 === 0) ask(0)
    }
    expect(buckets.evicted).toBeGreaterThan(900_000)
    expect(allowed).toBe(100 * 20)
  })

  test('a key that was pushed out takes no token of the one in its place', () => {
    const buckets = bucketsOf({ perSecond: 1, burst: 1000 }, 2)
    const key = keyed(buckets)
    const counts = new Map<string, number>()
    const random = seeded(7)
    for (let i = 0; i < MANY; i++) {
      const name = `key ${Math.floor(random() * 100)}`
      const { high, low } = key(name)
      const left = buckets.take(high, low, 0)
      counts.set(name, (counts.get(name) ?? 0) + 1)
      expect(left).toBeGreaterThanOrEqual(1000 - counts.get(name)!)
    }
  })
})

describe('several threads', () => {
  /** Each takes `asks` tokens of each of `keys` at once; says how many it got. */
  async function race(threads: number, keys: number, asks: number, rate: BucketRate, slots: number): Promise<number> {
    const memory = new SharedArrayBuffer(wordsOfBuckets(slots) * 4)
    const gate = new SharedArrayBuffer(4)
    const module = (name: string) => JSON.stringify(new URL(`../../proxy/filter/${name}`, import.meta.url).href)
    const code = `
      import { workerData, parentPort } from 'node:worker_threads'
      const { TokenBuckets } = await import(${module('token-buckets.ts')})
      const { KeyHash } = await import(${module('key-hash.ts')})
      const { memory, gate, keys, asks, rate, slots, threads } = workerData
      const buckets = new TokenBuckets(new Int32Array(memory), slots, rate, Math.random, 0)
      const hash = new KeyHash()
      const door = new Int32Array(gate)
      if (Atomics.add(door, 0, 1) === threads - 1) Atomics.notify(door, 0)
      for (let there = Atomics.load(door, 0); there < threads; there = Atomics.load(door, 0)) Atomics.wait(door, 0, there, 10)
      let got = 0
      for (let i = 0; i < asks; i++)
        for (let key = 0; key < keys; key++) {
          hash.begin()
          hash.word(key)
          hash.end(buckets.key0, buckets.key1)
          if (buckets.take(hash.high, hash.low, 0) >= 0) got++
        }
      parentPort.postMessage(got)`
    const workers = Array.from(
      { length: threads },
      () =>
        new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`), {
          workerData: { memory, gate, keys, asks, rate, slots, threads },
        }),
    )
    const got = await Promise.all(
      workers.map(
        worker =>
          new Promise<number>((resolve, reject) => {
            worker.once('message', resolve)
            worker.once('error', reject)
          }),
      ),
    )
    await Promise.all(workers.map(worker => worker.terminate()))
    return got.reduce((sum, count) => sum + count, 0)
  }

  test('take exactly as many tokens of one bucket as there are', async () => {
    expect(await race(4, 1, 50_000, { perSecond: 1, burst: 100_000 }, 1)).toBe(100_000)
  })

  test('take exactly as many of each of 2,000 keys that come up at the same time', async () => {
    expect(await race(4, 2000, 30, { perSecond: 1, burst: 50 }, 10_000)).toBe(2000 * 50)
  })
})
