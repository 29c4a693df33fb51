import { afterEach, expect, test } from 'vitest'
import type { Life } from '../../proxy/control/life.ts'
import { takeSignals } from '../../proxy/control/signals.ts'

const names = ['SIGHUP', 'SIGUSR1', 'SIGUSR2', 'SIGINT', 'SIGTERM'] as const
const before = names.map(name => [name, process.listeners(name)] as const)
afterEach(() => {
  for (const [name, listeners] of before) {
    process.removeAllListeners(name)
    for (const listener of listeners) process.on(name, listener)
  }
})

function taken({ launched = false } = {}) {
  const seen: string[] = []
  let now = 0
  let draining = false
  const signals = takeSignals({ exit: code => seen.push(`exit ${code}`), now: () => now, launched })
  const life: Life = {
    drain(why) {
      if (draining) return false
      draining = true
      seen.push(`drain ${why}`)
      return true
    },
    leave: () => Promise.resolve(),
    end: () => false,
    handOver: () => false,
    leaving: () => false,
    draining: () => draining,
  }
  const actions = {
    reread: () => seen.push('reread'),
    reopen: () => seen.push('reopen'),
    upgrade: () => seen.push('upgrade'),
  }
  const send = (name: NodeJS.Signals) => process.emit(name, name)
  return { signals, life, actions, seen, send, pass: (ms: number) => (now += ms) }
}

test('what comes before the proxy is ready is done then, once', () => {
  const { signals, actions, seen, send } = taken()
  send('SIGHUP')
  send('SIGHUP')
  send('SIGUSR1')
  expect(seen).toEqual([])
  signals.ready(actions)
  expect(seen).toEqual(['reread', 'reopen'])
  send('SIGHUP')
  send('SIGUSR2')
  expect(seen).toEqual(['reread', 'reopen', 'reread', 'upgrade'])
})

test('SIGTERM before anything is open ends the process with 0; afterwards it drains, and a second one ends it at once', () => {
  const { signals, life, seen, send } = taken()
  send('SIGTERM')
  expect(seen).toEqual(['exit 0'])
  signals.obey(life)
  send('SIGTERM')
  send('SIGTERM')
  expect(seen.slice(1)).toEqual(['drain SIGTERM', 'exit 143'])
})

test('Ctrl-C that a launcher passes on too is one', () => {
  const { signals, life, seen, send, pass } = taken({ launched: true })
  signals.obey(life)
  send('SIGINT')
  send('SIGINT')
  expect(seen).toEqual(['drain SIGINT'])
  pass(200)
  send('SIGINT')
  expect(seen).toEqual(['drain SIGINT', 'exit 130'])
})

test('the handlers of the launcher are gone: one signal is one', () => {
  let early = 0
  process.on('SIGTERM', () => early++)
  const { send } = taken()
  send('SIGTERM')
  expect(early).toBe(0)
})
