import { expect, test } from 'vitest'
import type { AddressSpec } from '../../mesh-config/snapshot.ts'
import { probesInTurn } from '../../proxy/discovery/probe.ts'

test('twenty at once, the others in their order as those are answered', () => {
  const running: { port: number; answered: (accepts: boolean) => void }[] = []
  const started: number[] = []
  const probe = probesInTurn(({ port }: AddressSpec, answered) => {
    started.push(port)
    running.push({ port, answered })
  })
  const results: string[] = []
  for (let port = 1; port <= 50; port++)
    probe({ address: '10.0.0.1', port }, accepts => results.push(`${port} ${accepts}`))
  expect(started).toEqual(Array.from({ length: 20 }, (_, i) => i + 1))
  running.splice(4, 1)[0]!.answered(false)
  expect(results).toEqual(['5 false'])
  expect(started.at(-1)).toBe(21)
  while (running.length > 0) {
    expect(running.length).toBeLessThanOrEqual(20)
    running.shift()!.answered(true)
  }
  expect(started).toEqual(Array.from({ length: 50 }, (_, i) => i + 1))
  expect(results).toHaveLength(50)
  // And the next ones are not kept waiting by those that were.
  probe({ address: '10.0.0.1', port: 51 }, () => {})
  expect(started.at(-1)).toBe(51)
})
