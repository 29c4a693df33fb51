import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { AgentPolicy } from '../../proxy/core/agent-policy.ts'
import { lastPolicies } from '../../proxy/sync/last-policies.ts'
import { systemClock } from '../../proxy/system/clock.ts'
import { replaceFile } from '../../proxy/system/replace-file.ts'
import { specOf } from '../support/agent-server.ts'
import { logTape } from '../support/log-tape.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

const spec = specOf('orders', { timeouts: { request: '3s' } })
const consul = [
  { service: 'orders', name: 'orders-eu', datacenter: null, tags: ['a'], addressKind: 'lan', failover: [] } as const,
]
const policy: AgentPolicy = {
  version: 'v1',
  spec,
  discovery: { consul, dns: null },
  provenance: '{"timeouts.request":{"at":"policies/orders.yaml:1"}}',
}
const nothing: AgentPolicy = { version: 'v0', spec: null, discovery: null, provenance: '' }
const content = {
  policies: new Map([
    ['orders', policy],
    ['users', nothing],
  ]),
  own: new Map([
    ['orders', 7],
    ['users', 0],
  ]),
  savedAt: 1_796_000_000_000,
}

function keeper(folder: string | null, owner = '') {
  const log = logTape()
  const kept = lastPolicies({ folder, replaceFile, claim: () => Promise.resolve(owner), clock: systemClock, log })
  return { kept, log }
}

async function saved(): Promise<string> {
  const folder = temporaryFolder()
  const { kept } = keeper(folder)
  kept.save(() => content)
  await kept.flush()
  return folder
}

test('what is saved is read by the next process, and nobody else may read it', async () => {
  const folder = await saved()
  const { kept, log } = keeper(folder)
  expect(kept.read()).toEqual(content)
  expect(log.lines()).toEqual([])
  expect(statSync(join(folder, 'last-policies.json')).mode & 0o777).toBe(0o600)
})

test('without a folder, or without a file, there is nothing', () => {
  for (const folder of [null, temporaryFolder()]) {
    const { kept, log } = keeper(folder)
    expect(kept.read()).toEqual({ policies: new Map(), own: new Map(), savedAt: null })
    expect(log.lines()).toEqual([])
  }
})

describe('a file that is not as it should be is not used, and the log says why', () => {
  test.each<[string, (text: string) => string, RegExp]>([
    ['cut short', text => text.slice(0, -20), /it is no JSON/],
    ['of another format', text => text.replace('"format":1', '"format":2'), /format 2, and this version reads 1/],
    ['with a field more', text => text.replace('"multiplex":', '"odd":1,"multiplex":'), /orders: .*odd: unknown/],
    ['of another kind', () => '[]', /no policies/],
    ['nested without end', () => '['.repeat(100_000), /nested deeper/],
  ])('%s', async (_name, change, why) => {
    const folder = await saved()
    const file = join(folder, 'last-policies.json')
    writeFileSync(file, change(readFileSync(file, 'utf8')))
    const { kept, log } = keeper(folder)
    expect(kept.read().policies.size).toBe(0)
    expect(log.lines()).toEqual([expect.stringMatching(why)])
  })
})

test('a folder that another sidecar uses is not written to, and that is said once', async () => {
  const folder = temporaryFolder()
  const { kept, log } = keeper(folder, 'pid 1')
  for (let i = 0; i < 2; i++) {
    kept.save(() => content)
    await kept.flush()
  }
  expect(existsSync(join(folder, 'last-policies.json'))).toBe(false)
  expect(log.lines()).toEqual([expect.stringMatching(/used by another sidecar \(pid 1\)/)])
  expect(kept.trouble()).not.toBe('')
})

test('what cannot be written stays as it was', async () => {
  const folder = await saved()
  const before = readFileSync(join(folder, 'last-policies.json'), 'utf8')
  await expect(replaceFile(join(folder, 'last-policies.json'), 'x', 'y')).rejects.toThrow()
  expect(readFileSync(join(folder, 'last-policies.json'), 'utf8')).toBe(before)
})
