import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { folderLock } from '../../proxy/system/folder-lock.ts'

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'outrigger-lock-'))
  onTestFinished(() => rmSync(path, { recursive: true, force: true }))
  return path
}

test.each([
  ['a short path', ''],
  ['a path longer than the address of a socket may be', 'x'.repeat(120)],
])('the second one is told who has it, and has it once that one lets go: %s', async (_what, more) => {
  const path = join(folder(), more)
  const [first, second] = [folderLock(path, 'pid 1, beside web'), folderLock(path, 'pid 2, beside orders')]
  expect(await first.claim()).toBe('')
  expect(await second.claim()).toBe('pid 1, beside web')
  expect(await first.claim()).toBe('')
  first.release()
  expect(await second.claim()).toBe('')
  expect(await first.claim()).toBe('pid 2, beside orders')
  second.release()
})

test('one that a killed process left behind is free', async () => {
  const path = folder()
  const program = `const { folderLock } = await import(${JSON.stringify(new URL('../../proxy/system/folder-lock.ts', import.meta.url).href)})
await folderLock(${JSON.stringify(path)}, 'the other').claim(); console.log('held'); setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(child.stdout, 'data')
  const own = folderLock(path, 'own')
  expect(await own.claim()).toBe('the other')
  child.kill('SIGKILL')
  await once(child, 'exit')
  expect(existsSync(join(path, 'in-use'))).toBe(true)
  expect(await own.claim()).toBe('')
  own.release()
})

test('a folder that was removed is taken anew; what cannot tell is no reason to stop', async () => {
  const path = folder()
  const [first, second] = [folderLock(path, 'first'), folderLock(path, 'second')]
  expect(await first.claim()).toBe('')
  rmSync(path, { recursive: true })
  expect(await second.claim()).toBe('')
  expect(await first.claim()).toBe('second')
  second.release()
  const file = join(folder(), 'file')
  writeFileSync(file, '')
  expect(await folderLock(file, 'x').claim()).toBe('')
})
