import { describe, expect, test } from 'vitest'
import type { Snapshot } from '../../mesh-config/snapshot.ts'
import { drainPlan, life } from '../../proxy/control/life.ts'
import { logTape } from '../support/log-tape.ts'

function lifeOf(drainThreads: () => Promise<number>, askSupervisor?: (why: string) => boolean) {
  const log = logTape()
  const steps: string[] = []
  const began: string[] = []
  const plan = { delayMs: 1_000, timeoutMs: 20_000 }
  const own = life({
    plan: () => plan,
    leave: () => Promise.resolve(void steps.push('leave')),
    drainThreads: (side, given) => {
      steps.push(`drain ${side === 'all' ? '' : `${side} `}${given.delayMs} ${given.timeoutMs}`)
      return drainThreads()
    },
    finish: () => Promise.resolve(void steps.push('finish')),
    exit: code => void steps.push(`exit ${code}`),
    onDrain: (side, { delayMs, timeoutMs }) => void began.push(`${side} ${delayMs} ${timeoutMs}`),
    ...(askSupervisor === undefined ? {} : { askSupervisor }),
    log,
  })
  return { own, log, steps, began }
}

const never = () => new Promise<number>(() => {})
const settled = () => new Promise(resolve => setImmediate(resolve))

test('draining: not ready at once, then the threads, then what is to be written, then exit 0', async () => {
  let drained = (_cut: number) => {}
  const { own, log, steps } = lifeOf(() => new Promise(resolve => (drained = resolve)))
  expect(own.draining()).toBe(false)
  expect(own.drain('SIGTERM')).toBe(true)
  expect(own.draining()).toBe(true)
  await settled()
  expect(steps).toEqual(['leave', 'drain 1000 20000'])
  drained(2)
  await settled()
  expect(steps).toEqual(['leave', 'drain 1000 20000', 'finish', 'exit 0'])
  expect(log.lines()).toEqual([
    'info SIGTERM: draining: not ready from now on, listening for another 1 s, then at most 20 s for what still runs',
    'warn 2 requests were still running after 20 s and were cut cut=2',
    'info drained',
  ])
})

test('a second time it says that it is under way, and does not begin again', async () => {
  const { own, steps } = lifeOf(() => Promise.resolve(0))
  own.drain('SIGTERM')
  expect(own.drain('POST /drain')).toBe(false)
  await settled()
  expect(steps.filter(step => step.startsWith('drain'))).toHaveLength(1)
})

test('draining that fails still ends the process', async () => {
  const { own, steps, log } = lifeOf(() => Promise.reject(new Error('broken')))
  own.drain('SIGTERM')
  await settled()
  expect(steps.at(-1)).toBe('exit 1')
  expect(log.lines().at(-1)).toContain('broken')
})

test('where the ports are wanted at once, it does not listen on for the delay', async () => {
  const { own, steps } = lifeOf(() => Promise.resolve(0))
  own.drain('the launcher has ended', true)
  await settled()
  expect(steps).toContain('drain 0 20000')
})

describe('leaving', () => {
  test('is one, however often it is asked for', async () => {
    const { own, steps } = lifeOf(() => Promise.resolve(0))
    expect([own.leaving(), own.leave('preStop') === own.leave('POST /leave')]).toEqual([false, true])
    await own.leave('again')
    expect([own.leaving(), own.draining()]).toEqual([true, true])
    expect(steps).toEqual(['leave', 'drain inbound 1000 20000'])
  })

  test('SIGTERM in the middle of it ends the process without another delay', async () => {
    const { own, steps } = lifeOf(() => (steps.length < 3 ? never() : Promise.resolve(0)))
    void own.leave('POST /leave')
    await settled()
    expect(own.drain('SIGTERM')).toBe(true)
    await settled()
    expect([own.leaving(), steps.slice(2)]).toEqual([false, ['leave', 'drain 0 20000', 'finish', 'exit 0']])
  })

  test('a process that drains all, or has handed over, does not leave any more', async () => {
    const draining = lifeOf(never)
    draining.own.drain('SIGTERM')
    expect([draining.own.leave('preStop'), draining.own.leaving()]).toEqual([null, false])
    const handedOver = lifeOf(never)
    handedOver.own.handOver('process 2 has taken over', () => new Promise(() => {}))
    expect(handedOver.own.leave('preStop')).toBeNull()
    await settled()
    expect([draining.steps, handedOver.steps]).toEqual([['leave', 'drain 1000 20000'], []])
  })

  test('it is said that only inbound drains, and within which time', async () => {
    const { own, began } = lifeOf(() => Promise.resolve(0))
    await own.leave('preStop')
    own.drain('SIGTERM')
    await settled()
    expect(began).toEqual(['inbound 1000 20000', 'all 0 20000'])
  })
})

describe('with a supervisor', () => {
  test('leaving drains inbound alone; the end comes when the supervisor says so, without another delay', async () => {
    const { own, steps } = lifeOf(() => Promise.resolve(0))
    await own.leave('run')
    expect(own.draining()).toBe(true)
    expect(steps).toEqual(['leave', 'drain inbound 1000 20000'])
    expect(own.end('run')).toBe(true)
    await settled()
    expect(steps.slice(2)).toEqual(['leave', 'drain 0 20000', 'finish', 'exit 0'])
  })

  test('the application ends while it leaves: nothing is waited for any more', async () => {
    const { own, steps } = lifeOf(() => (steps.length < 3 ? new Promise(() => {}) : Promise.resolve(0)))
    void own.leave('run')
    await settled()
    own.end('run', true)
    await settled()
    expect(steps.at(-1)).toBe('exit 0')
  })

  test('asked by others to end, it asks the supervisor, once; and ends by itself where that is gone', async () => {
    const asked: string[] = []
    let isThere = true
    const { own, steps } = lifeOf(
      () => Promise.resolve(0),
      why => isThere && asked.push(why) > 0,
    )
    expect([own.drain('SIGTERM'), own.drain('POST /drain')]).toEqual([true, false])
    expect([asked, steps, own.draining()]).toEqual([['SIGTERM'], [], false])
    const alone = lifeOf(
      () => Promise.resolve(0),
      () => false,
    )
    isThere = false
    expect(alone.own.drain('SIGTERM')).toBe(true)
    await settled()
    expect(alone.steps.at(-1)).toBe('exit 0')
  })
})

describe('the delay of a drain', () => {
  const delayOf = (direction: 'inbound' | 'outbound', address: string) => {
    const listeners = [{ direction, listen: { address, port: 1 } }] as unknown as Snapshot['listeners']
    return drainPlan({ drain: { delayMs: 5_000, timeoutMs: 20_000 }, listeners }).delayMs
  }

  test('is for callers elsewhere: of the application, and of a gateway', () => {
    expect(delayOf('inbound', '0.0.0.0')).toBe(5_000)
    expect(delayOf('outbound', '0.0.0.0')).toBe(5_000)
    expect(delayOf('outbound', '::')).toBe(5_000)
  })

  test('is none where only the application calls', () => {
    expect(delayOf('outbound', '127.0.0.1')).toBe(0)
    expect(delayOf('outbound', '::1')).toBe(0)
  })
})
