import { chmodSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { wrongService } from '../../../agent/policy/check.ts'
import { fileStore } from '../../../agent/policy/file-store.ts'
import { temporaryFolder } from '../../support/temporary-folder.ts'

const stored = (text: string) => ({ service: 'orders', text, author: 'a', comment: '', at: Date.now() })

test('a document that only its owner may read stays so, and so does what it said before', async () => {
  const folder = temporaryFolder()
  const file = join(folder, 'orders.yaml')
  writeFileSync(file, 'retries: { attempts: 2 }')
  chmodSync(file, 0o600)
  const store = fileStore(folder, 'policies')
  await store.put(stored('retries: { attempts: 3 }'), null)
  expect(readFileSync(file, 'utf8')).toContain('3')
  expect(statSync(file).mode & 0o777).toBe(0o600)
  expect(statSync(join(folder, '.history', 'orders')).mode & 0o077).toBe(0)
})

test.each(['../orders', 'a/b', '.history', '/etc/passwd', '', 'a\u0000b', 'Orders', 'defaults', '..'])(
  '%j is the name of no service',
  name => {
    expect(wrongService(name)).toMatch(/is (not a service name|no service)/)
  },
)

test('an ordinary name, and that of all, are', () => {
  expect(['orders', 'orders-v2.eu', '*'].map(wrongService)).toEqual([null, null, null])
})
