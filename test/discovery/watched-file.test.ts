import { mkdtempSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { watchedFiles } from '../../proxy/discovery/watched-file.ts'
import { virtualTime } from './consul/tape.ts'

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'outrigger-token-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

test('a file is read again when it was replaced, a second later at most', async () => {
  const time = virtualTime()
  const token = join(folder, 'token')
  writeFileSync(token, 'one')
  const files = watchedFiles([token], time.clock)
  expect([files.read(), files.version()]).toEqual([['one'], 1])
  writeFileSync(join(folder, 'new'), 'two')
  renameSync(join(folder, 'new'), token)
  await time.pass(990)
  expect(files.read()).toEqual(['one'])
  await time.pass(10)
  expect([files.read(), files.version()]).toEqual([['two'], 2])
  await time.pass(5_000)
  expect([files.read(), files.version()]).toEqual([['two'], 2])
})

test('a link that points elsewhere is a change', async () => {
  const time = virtualTime()
  const [link, one, two] = ['link', 'one', 'two'].map(name => join(folder, name)) as [string, string, string]
  writeFileSync(one, '1')
  writeFileSync(two, '2')
  symlinkSync(one, link)
  const files = watchedFiles([link], time.clock)
  expect(files.read()).toEqual(['1'])
  unlinkSync(link)
  symlinkSync(two, link)
  await time.pass(1_000)
  expect(files.read()).toEqual(['2'])
})

test('what was read last stays while the file is gone, and that is said', async () => {
  const time = virtualTime()
  const [cert, key] = ['cert', 'key'].map(name => join(folder, name)) as [string, string]
  writeFileSync(cert, 'c')
  const files = watchedFiles([cert, key], time.clock)
  expect(() => files.read()).toThrow('ENOENT')
  writeFileSync(key, 'k')
  expect(files.read()).toEqual(['c', 'k'])
  expect(files.trouble()).toBe('')
  renameSync(key, `${key}.away`)
  await time.pass(1_000)
  expect(files.read()).toEqual(['c', 'k'])
  expect(files.trouble()).toContain('ENOENT')
  renameSync(`${key}.away`, key)
  await time.pass(1_000)
  expect(files.read()).toEqual(['c', 'k'])
  expect(files.trouble()).toBe('')
})
