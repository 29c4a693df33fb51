import { Worker } from 'node:worker_threads'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { CELL_MEMORY_BYTES, type Cell } from '../../proxy/core/cells.ts'
import { sharedCells } from '../../proxy/runtime/shared-cells.ts'
import '../support/seed.ts'

const memory = (bytes = CELL_MEMORY_BYTES) => new SharedArrayBuffer(bytes)

test('a name is the same memory for all threads, and begins with zeros', () => {
  const shared = memory()
  const first = sharedCells(shared, 0, 2).open('budget orders', 20)
  const second = sharedCells(shared, 1, 2).open('budget orders', 20)
  expect(first.words).toEqual(new Int32Array(20))
  first.words[19] = 7
  expect(second.words[19]).toBe(7)
})

test('whatever is opened and closed: cells of one name are one, those of two never overlap', () => {
  const step = fc.record({ thread: fc.nat(39), name: fc.nat(30), words: fc.constantFrom(1, 8, 16, 17, 300) })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), steps => {
      const shared = memory(CELL_MEMORY_BYTES / 32)
      const threads = Array.from({ length: 40 }, (_, thread) => sharedCells(shared, thread, 40))
      const open = new Map<string, { readonly cell: Cell; readonly name: string }>()
      let written = 0
      const model = new Map<string, number>()
      for (const { thread, name: number, words } of steps) {
        const name = `${number} of ${words}`
        const key = `${thread} ${name}`
        const known = open.get(key)
        if (known !== undefined) {
          known.cell.close()
          open.delete(key)
          if (![...open.values()].some(other => other.name === name)) model.delete(name)
          continue
        }
        const cell = threads[thread]!.open(name, words)
        expect(cell.words.length).toBe(words)
        expect(cell.words.every(word => word === (model.get(name) ?? 0))).toBe(true)
        open.set(key, { cell, name })
        cell.words.fill(++written)
        model.set(name, written)
      }
      for (const { cell, name } of open.values()) expect(cell.words.every(word => word === model.get(name))).toBe(true)
    }),
  )
})

test('a thread that takes the place of one that ended closes its cells, and only those', () => {
  const shared = memory()
  const other = sharedCells(shared, 1, 2)
  const ended = sharedCells(shared, 0, 2)
  for (let i = 0; i < 5000; i++) ended.open(`endpoint ${i}`, 1).words[0] = 1
  const kept = other.open('endpoint 7', 1)
  const next = sharedCells(shared, 0, 2)
  expect(next.open('endpoint 8', 1).words[0]).toBe(0)
  expect(next.open('endpoint 7', 1).words[0]).toBe(1)
  expect(kept.words[0]).toBe(1)
})

test('closed cells make room for others', () => {
  const shared = memory(CELL_MEMORY_BYTES / 64)
  const one = sharedCells(shared, 0, 2)
  let other = sharedCells(shared, 1, 2)
  for (let i = 0; i < 100_000; i++) {
    const cell = one.open(`service ${i}`, 200)
    cell.words[0] = 5
    const same = other.open(`service ${i}`, 200)
    expect(same.words[0]).toBe(5)
    cell.close()
    if (i % 100 !== 99) same.close()
    if (i % 100 === 0) other = sharedCells(shared, 1, 2)
  }
})

test('without room a cell is the own one of its thread', () => {
  const shared = memory(CELL_MEMORY_BYTES / 64)
  const [one, other] = [sharedCells(shared, 0, 2), sharedCells(shared, 1, 2)]
  const large = one.open('too large', 1 << 22)
  large.words[0] = 1
  expect(other.open('too large', 1 << 22).words[0]).toBe(0)
  large.close()
  for (let i = 0; i < 60_000; i++) one.open(`endpoint ${i}`, 1)
  const last = one.open('the last', 1)
  last.words[0] = 1
  expect(other.open('the last', 1).words[0]).toBe(0)
  expect(other.open('endpoint 1', 1).words[0]).toBe(0)
})

test('real threads count together, and open and close at the same time', async () => {
  const shared = memory()
  const url = new URL('../../proxy/runtime/shared-cells.ts', import.meta.url).href
  const code = `
    import { workerData, parentPort } from 'node:worker_threads'
    const { sharedCells } = await import(${JSON.stringify(url)})
    const cells = sharedCells(workerData.shared, workerData.thread, 4)
    const counted = cells.open('counted', 1)
    for (let i = 0; i < 2000; i++) {
      const other = cells.open('other ' + (i % 7), 4)
      Atomics.add(other.words, 0, 1)
      Atomics.add(counted.words, 0, 1)
      other.close()
    }
    parentPort.postMessage('done')`
  const workers = [0, 1, 2, 3].map(
    thread =>
      new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`), { workerData: { shared, thread } }),
  )
  await Promise.all(
    workers.map(
      worker =>
        new Promise((resolve, reject) => {
          worker.once('message', resolve)
          worker.once('error', reject)
        }),
    ),
  )
  expect(sharedCells(shared, 9, 10).open('counted', 1).words[0]).toBe(8000)
  await Promise.all(workers.map(worker => worker.terminate()))
})
