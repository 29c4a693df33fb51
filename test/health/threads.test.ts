import { describe, expect, test } from 'vitest'
import { type Cells, ownCells } from '../../proxy/core/cells.ts'
import { sharedCells } from '../../proxy/runtime/shared-cells.ts'
import { EventLoop } from '../support/event-loop.ts'
import { type DetectorOptions, detectorOf } from './detector.ts'

/** The detectors of several data threads: what one tells, the others hear, as the control thread has it. */
function threadsOf(threads: number, count: number, options: DetectorOptions = {}) {
  const memory = new SharedArrayBuffer(4 * 1024 ** 2)
  const loop = new EventLoop()
  let isDeaf = false
  const cells: Cells[] = []
  const all = Array.from({ length: threads }, (_, thread) => {
    cells.push(sharedCells(memory, thread, threads))
    return detectorOf(count, { ...options, loop, cells: cells[thread]!, tell: () => tellOthers(thread) })
  })
  function tellOthers(thread: number): void {
    if (isDeaf) return
    all.forEach(({ outliers }, i) => {
      if (i !== thread) loop.after(1, () => outliers.review())
    })
  }
  return {
    all,
    loop,
    memory,
    /** The control thread is stuck. */
    deaf: () => {
      isDeaf = true
    },
  }
}

describe('failures in a row', () => {
  test('are counted over all data threads, and are in the evidence of the one that ejects', () => {
    const { all, loop } = threadsOf(4, 3, { consecutiveGatewayFailures: 5 })
    for (const i of [0, 1, 2, 3, 0]) {
      loop.advance(1)
      all[i]!.ends(0, 503, 1, `thread-${i}`)
    }
    expect(all.map(({ states }) => states()[0])).toEqual(['ejected', 'admitting', 'admitting', 'admitting'])
    const { evidence } = all[0]!.events[0] as unknown as { evidence: { requestId: string }[] }
    expect(evidence.map(({ requestId }) => requestId)).toEqual([
      'thread-0',
      'thread-1',
      'thread-2',
      'thread-3',
      'thread-0',
    ])
    loop.advance(100)
    expect(all.map(({ states }) => states()[0])).toEqual(Array(4).fill('ejected'))
    expect(all.flatMap(({ events }) => events)).toHaveLength(1)
    expect(all[2]!.endpoints[0]).toMatchObject({
      ejectionReason: '5 consecutive failures, last: status 503',
      ejections: 1,
    })
  })

  test('end with a success on any of them', () => {
    const { all } = threadsOf(2, 3)
    for (let i = 0; i < 9; i++) {
      all[0]!.ends(0, 503, 2)
      all[1]!.ends(0, 200)
    }
    expect(all[0]!.states()[0]).toBe('admitting')
  })
})

describe('an ejection', () => {
  test('is seen by a thread that nobody tells, with the next thing it has to say of the endpoint', () => {
    for (const status of [200, 503]) {
      const { all, deaf } = threadsOf(2, 3)
      deaf()
      all[0]!.ends(0, 503, 3)
      expect(all[1]!.states()[0]).toBe('admitting')
      all[1]!.ends(0, status)
      expect(all[1]!.states()[0]).toBe('ejected')
      expect(all[1]!.changes()).toBe(1)
      expect(all[1]!.events).toEqual([])
    }
  })

  test('two at once on two threads leave the last endpoint of the service', () => {
    const { all, deaf } = threadsOf(2, 2)
    deaf()
    all[0]!.ends(0, 503, 3)
    all[1]!.ends(1, 503, 3)
    expect(all[1]!.states()).toEqual(['ejected', 'admitting'])
    expect(all[1]!.detected).toEqual(['consecutive_gateway_failure no_room'])
  })

  test('ends on all at its time, and is probed on any', () => {
    const { all, loop } = threadsOf(3, 3)
    all[0]!.ends(0, 503, 3)
    loop.advance(1_020)
    expect(all.map(({ states }) => states()[0])).toEqual(['probing', 'probing', 'probing'])
    all[2]!.ends(0, 200)
    loop.advance(2)
    expect(all.map(({ states }) => states()[0])).toEqual(['admitting', 'admitting', 'admitting'])
    expect(all.flatMap(({ events }) => events).map(({ kind }) => kind)).toEqual([
      'endpoint-ejected',
      'endpoint-admitted',
    ])
  })

  test('is counted once: the next is the second, on whatever thread', () => {
    const { all, loop } = threadsOf(2, 3)
    all[0]!.ends(0, 503, 3)
    loop.advance(1_020)
    all[1]!.ends(0, 503)
    expect(all[1]!.events.at(-1)).toMatchObject({ forMs: 2000 })
  })

  test('is known to a thread that starts later, in the place of one that ended', () => {
    const { all, loop, memory } = threadsOf(2, 3)
    all[0]!.ends(0, 503, 3)
    const successor = detectorOf(3, { loop, cells: sharedCells(memory, 1, 2) })
    expect(successor.states()).toEqual(['ejected', 'admitting', 'admitting'])
    expect(successor.endpoints[0]!.ejectionReason).toBe('3 consecutive failures, last: status 503')
    loop.advance(1_020)
    expect(successor.states()[0]).toBe('probing')
  })
})

test('a thread that ended while it changed an endpoint holds up nobody once its successor is there', () => {
  const { all, memory, loop } = threadsOf(2, 3)
  const held = sharedCells(memory, 1, 2).open('outliers of orders', 8)
  held.words[1] = 2
  all[0]!.ends(0, 503, 3)
  expect(all[0]!.states()[0]).toBe('admitting')
  detectorOf(3, { loop, cells: sharedCells(memory, 1, 2) })
  all[0]!.ends(0, 503)
  expect(all[0]!.states()[0]).toBe('ejected')
})

test('with one data thread there is one way through the code', () => {
  const { ends, states } = detectorOf(2, { cells: ownCells })
  ends(0, 503, 3)
  expect(states()).toEqual(['ejected', 'admitting'])
})
