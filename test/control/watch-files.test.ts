import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { signatureOf, watchFiles } from '../../proxy/control/watch-files.ts'
import { systemClock } from '../../proxy/system/clock.ts'

async function watching(file: string) {
  let changes = 0
  const stop = watchFiles([file], await signatureOf([file]), () => changes++, systemClock)
  onTestFinished(stop)
  // The first look at the file is over.
  await sleep(50)
  return {
    stop,
    changes: () => changes,
    async until(count: number) {
      for (let i = 0; changes < count && i < 12_000; i++) await sleep(10)
      // And no more than that.
      await sleep(300)
      expect(changes).toBe(count)
    },
  }
}

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'outrigger-watch-'))
  onTestFinished(() => rmSync(path, { recursive: true, force: true }))
  return path
}

test('written in place, in several steps: one change', async () => {
  const file = join(folder(), 'a.yaml')
  writeFileSync(file, 'one')
  const watch = await watching(file)
  for (const text of ['', 'tw', 'two']) {
    writeFileSync(file, text)
    await sleep(20)
  }
  await watch.until(1)
})

test('replaced by a rename, as editors do, again and again', async () => {
  const file = join(folder(), 'a.yaml')
  writeFileSync(file, 'one')
  const watch = await watching(file)
  for (const [index, text] of ['two', 'tri', 'for'].entries()) {
    writeFileSync(`${file}.swap`, text)
    renameSync(`${file}.swap`, file)
    await watch.until(index + 1)
  }
})

test('moved away and put back with other content', async () => {
  const file = join(folder(), 'a.yaml')
  writeFileSync(file, 'one')
  const watch = await watching(file)
  renameSync(file, `${file}~`)
  writeFileSync(file, 'two!')
  await watch.until(1)
})

test('a Kubernetes ConfigMap: the file stays the same link, the folder behind it is swapped', async () => {
  const root = folder()
  for (const version of ['v1', 'v2']) {
    mkdirSync(join(root, version))
    writeFileSync(join(root, version, 'a.yaml'), version === 'v1' ? 'one' : 'two!')
  }
  symlinkSync('v1', join(root, '..data'))
  symlinkSync('..data/a.yaml', join(root, 'a.yaml'))
  const watch = await watching(join(root, 'a.yaml'))
  symlinkSync('v2', join(root, '..data_tmp'))
  renameSync(join(root, '..data_tmp'), join(root, '..data'))
  await watch.until(1)
})

test('other files in the folder are nobody’s business', async () => {
  const root = folder()
  writeFileSync(join(root, 'a.yaml'), 'one')
  const watch = await watching(join(root, 'a.yaml'))
  writeFileSync(join(root, 'b.yaml'), 'one')
  unlinkSync(join(root, 'b.yaml'))
  await watch.until(0)
})

test('a change between the reading and the watching is not missed', async () => {
  const file = join(folder(), 'a.yaml')
  writeFileSync(file, 'one')
  const read = await signatureOf([file])
  writeFileSync(file, 'two!')
  let changes = 0
  onTestFinished(watchFiles([file], read, () => changes++, systemClock))
  for (let i = 0; changes === 0 && i < 12_000; i++) await sleep(10)
  expect(changes).toBe(1)
})

test('after it was stopped nothing is said', async () => {
  const file = join(folder(), 'a.yaml')
  writeFileSync(file, 'one')
  const watch = await watching(file)
  watch.stop()
  writeFileSync(file, 'two!')
  await watch.until(0)
})

test('a folder that cannot be watched is looked at from time to time', async () => {
  const root = folder()
  const file = join(root, 'later', 'a.yaml')
  const watch = await watching(file)
  mkdirSync(join(root, 'later'))
  writeFileSync(file, 'one')
  await watch.until(1)
})
