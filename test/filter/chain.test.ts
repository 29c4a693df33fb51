import { expect, test } from 'vitest'
import { Exchange } from '../../proxy/core/exchange.ts'
import type { Filter } from '../../proxy/core/filter.ts'
import { HeaderList } from '../../proxy/core/header-list.ts'
import { Chain } from '../../proxy/filter/chain.ts'

const head = {
  method: 'GET',
  scheme: 'http',
  authority: 'a',
  path: '/',
  upgrade: '',
  headers: new HeaderList(),
} as const
const peer = { address: '10.0.0.1', port: 1, local: '10.0.0.2', localPort: 2 }

function exchange(): Exchange {
  const made = new Exchange(peer, 'outbound', 'http/1.1', head)
  made.begin(head, 0)
  return made
}

function noted(name: string, log: string[]): Filter {
  return { name, onRequest: () => void log.push(name), onComplete: () => void log.push(`${name} complete`) }
}

test('a route without filters has the chain of its listener', () => {
  const chain = new Chain('', [])
  expect(chain.and([])).toBe(chain)
})

test('the listener changed while a service was looked up: what ran is completed, the route filters still run', () => {
  const log: string[] = []
  const before = new Chain('1', [noted('a', log), noted('b', log)])
  const after = new Chain('2', [noted('c', log)]).and([noted('route', log)])
  const it = exchange()
  before.onRequest(it, false)
  const joined = after.behind(before, it.filtersRan)
  joined.onRequest(it, false)
  joined.onComplete(it)
  expect(log).toEqual(['a', 'b', 'route', 'route complete', 'b complete', 'a complete'])
})

test('no sinks are made where no filter wants the body, and the next exchange has its own', () => {
  let wants = false
  const sink = { data: () => true, trailers() {}, writable() {} }
  const chain = new Chain('', [{ name: 'a', request: () => (wants ? sink : null) }])
  const end = { data: () => true, trailers() {}, resume() {}, fail() {} }
  const it = exchange()
  chain.onRequest(it, false)
  expect(chain.requestSinks(it, end)).toBeNull()
  wants = true
  const first = chain.requestSinks(it, end)
  expect(first!.first).toBe(sink)
  expect(chain.requestSinks(it, end)).not.toBe(first)
})
