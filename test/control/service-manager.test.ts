import { expect, test } from 'vitest'
import { serviceManager } from '../../proxy/control/service-manager.ts'
import { manualClock } from '../support/clock.ts'
import { EventLoop } from '../support/event-loop.ts'

function manager(env: NodeJS.ProcessEnv, answers = async () => true) {
  const loop = new EventLoop()
  const clock = manualClock(loop)
  const said: string[] = []
  const log = { debug() {}, info() {}, error() {}, warn: (text: string) => said.push(`warned: ${text}`) }
  const open = () => (text: string) => said.push(text) > 0
  return { loop, said, systemd: serviceManager(env, { answers, clock, log, open }) }
}

const socket = { NOTIFY_SOCKET: '/run/systemd/notify' }

test('nothing is told where systemd did not start this process', () => {
  expect(manager({}).systemd).toBeNull()
})

test('a successor is the main process from then on', () => {
  const { systemd, said } = manager(socket)
  systemd!.ready(false)
  systemd!.ready(true)
  expect(said).toEqual(['READY=1\nSTATUS=serves', `READY=1\nSTATUS=serves\nMAINPID=${process.pid}`])
})

test('a reload is told with its time, and its end', async () => {
  const { systemd, said } = manager(socket)
  systemd!.reloading(Promise.resolve())
  expect(said).toEqual([expect.stringMatching(/^RELOADING=1\nMONOTONIC_USEC=\d+$/)])
  await Promise.resolve()
  expect(said[1]).toBe('READY=1')
})

test('the watchdog hears of it twice in its time, and only while every data thread answers', async () => {
  let answering = true
  const { systemd, said, loop } = manager({ ...socket, WATCHDOG_USEC: '1000000' }, async () => answering)
  const beats = async (ms: number) => {
    const before = said.length
    for (let at = 0; at < ms; at += 100) {
      loop.advance(100)
      await Promise.resolve()
      await Promise.resolve()
    }
    return said.slice(before)
  }
  systemd!.ready(false)
  expect(await beats(2000)).toEqual(Array.from({ length: 4 }, () => 'WATCHDOG=1'))
  answering = false
  expect(await beats(2000)).toEqual([])
  answering = true
  expect(await beats(1000)).toEqual(['WATCHDOG=1', 'WATCHDOG=1'])
  systemd!.handedOver()
  expect(await beats(2000)).toEqual([])
})

test('a watchdog of another process is none of ours', () => {
  const { systemd, loop, said } = manager({ ...socket, WATCHDOG_USEC: '1000000', WATCHDOG_PID: '1' })
  systemd!.ready(false)
  loop.advance(5000)
  expect(said.length).toBe(1)
})
