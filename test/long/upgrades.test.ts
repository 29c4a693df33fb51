import { expect, test } from 'vitest'
import { upgradeUnderLoad } from '../integration/support/upgrade-load.ts'

// The program is started anew again and again under load. What a caller may notice: nothing.

test.each([
  ['one data thread', 1],
  ['two data threads', 2],
])(
  '20 upgrades under 2,000 requests a second, %s',
  async (_name, workers) => {
    const { good, failures, readyMs, outlived } = await upgradeUnderLoad({ rate: 1_000, upgrades: 20, workers })
    console.log(JSON.stringify({ good, outlived, readyMs }))
    expect(failures).toEqual([])
    expect(readyMs.length).toBe(20)
    expect(outlived).toBeGreaterThan(20)
    for (const kind of [
      'kept connection',
      'new connection',
      'gRPC stream',
      'TCP tunnel',
      'WebSocket',
      'HTTP/2 request',
    ])
      expect(good[kind], kind).toBeGreaterThan(20)
  },
  1_200_000,
)
