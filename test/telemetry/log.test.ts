import { describe, expect, test } from 'vitest'
import type { Clock } from '../../proxy/core/clock.ts'
import { logLevels } from '../../proxy/core/log.ts'
import { ownLog } from '../../proxy/telemetry/log.ts'

const clock: Clock = {
  now: () => 1,
  wallTime: () => Date.UTC(2026, 10, 21, 7, 8, 9, 45),
  timer: () => ({ arm() {}, cancel() {} }),
}

function logOf(pretty: boolean, colors = false) {
  const lines: string[] = []
  return { lines, log: ownLog({ level: 'info', pretty, colors, write: line => lines.push(line) }, clock) }
}

test('JSON lines for programs', () => {
  const { lines, log } = logOf(false)
  log.warn('a "thing"\nhappened', { thread: 1, reason: null })
  expect(lines).toEqual([
    '{"time":"2026-11-21T07:08:09.045Z","level":"warn","msg":"a \\"thing\\"\\nhappened","thread":1,"reason":null}\n',
  ])
})

describe('for people', () => {
  test('one short line', () => {
    const { lines, log } = logOf(true)
    log.error('it failed', { thread: 1, why: 'two words' })
    expect(lines).toEqual(['07:08:09.045 error it failed  thread=1  why="two words"\n'])
  })

  test('nothing in a message forges a line or steers the terminal', () => {
    const { lines, log } = logOf(true, true)
    log.info('a\n07:00 error forged\u001b[2J', { b: '\u001b[31m' })
    expect(lines[0]).toContain('a\\x0A07:00 error forged\\x1B[2J')
    expect(lines[0]).toContain('\\x1B[31m')
  })
})

test('the level may change while it runs', () => {
  const { lines, log } = logOf(false)
  const all = () => {
    lines.length = 0
    for (const level of ['debug', 'info', 'warn', 'error'] as const) log[level]('x')
    return lines.map(line => (JSON.parse(line) as { level: string }).level)
  }
  expect(all()).toEqual(['info', 'warn', 'error'])
  const heard = logLevels.map(level => {
    log.setLevel(level)
    expect(log.level()).toBe(level)
    return all().length
  })
  expect(heard).toEqual([4, 3, 2, 1, 0])
})
