import { join } from 'node:path'
import { expect, test } from 'vitest'
import { keepSidecar } from '../../run/sidecar.ts'
import { until } from '../integration/support/until.ts'
import { logTape } from '../support/log-tape.ts'

const standIn = join(import.meta.dirname, 'support/stand-in-proxy.ts')

function keep(...args: string[]) {
  const log = logTape()
  const asked: string[] = []
  const sidecar = keepSidecar({
    program: process.execPath,
    args: [standIn, ...args],
    env: process.env,
    user: null,
    log,
    askedToStop: why => asked.push(why),
  })
  return { sidecar, log, asked }
}

/** Of the one that has taken over. */
const successorOf = (log: ReturnType<typeof logTape>) =>
  until('a successor', () => Number(/has taken over pid=(\d+)/.exec(log.lines().join('\n'))?.[1] ?? 0) || false)

const lives = (pid: number) => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

test('a successor that is not our child is the sidecar from then on: told, and ended', async () => {
  const { sidecar, log } = keep('succeeded')
  expect(await sidecar.first).toBe('ready')
  const pid = await successorOf(log)
  expect(sidecar.owns(pid)).toBe(true)
  await new Promise(resolve => setTimeout(resolve, 600))
  // The end of the first one is no crash.
  expect(log.lines().filter(line => line.startsWith('error'))).toEqual([])
  await sidecar.leave()
  await sidecar.end()
  await until('its end', () => !lives(pid))
})

test('a successor that dies is replaced', async () => {
  const { sidecar, log } = keep('succeeded')
  const pid = await successorOf(log)
  await new Promise(resolve => setTimeout(resolve, 600))
  process.kill(pid, 'SIGKILL')
  await until('another one', () => log.lines().some(line => line.startsWith('info the sidecar serves again')))
  expect(log.lines().some(line => line.startsWith('error the sidecar ended: another one is started'))).toBe(true)
  await sidecar.end()
})

test('a proxy that ends before it is ready is not started again', async () => {
  const log = logTape()
  const sidecar = keepSidecar({
    program: process.execPath,
    args: ['-e', 'process.exit(2)'],
    env: process.env,
    user: null,
    log,
    askedToStop() {},
  })
  expect(await sidecar.first).toBe(2)
  expect(log.lines()).toEqual([
    'error the sidecar ended with exit code 2 before it was ready: the application is not started',
  ])
})
