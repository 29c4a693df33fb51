import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { readText, readTextSync } from '../../mesh-config/read-file.ts'

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'outrigger-read-'))
  onTestFinished(() => rmSync(path, { recursive: true, force: true }))
  return path
}

async function both(path: string, maxBytes: number): Promise<string> {
  const texts = [
    await readText(path, maxBytes).catch(String),
    await Promise.resolve()
      .then(() => readTextSync(path, maxBytes))
      .catch(String),
  ]
  expect(texts[0]).toBe(texts[1])
  return texts[0]!
}

test('the text of a file, also where a character lies across the pieces it is read in', async () => {
  const path = join(folder(), 'a')
  for (const text of ['', 'a', `${'x'.repeat(65_535)}é`, 'é'.repeat(100_000)]) {
    writeFileSync(path, text)
    expect(await both(path, 1024 ** 2)).toBe(text)
  }
})

test('a pipe is not waited for, a device not read; neither are folders and large files', async () => {
  const path = join(folder(), 'a')
  execFileSync('/usr/bin/mkfifo', [path])
  expect(await both(path, 1024)).toContain('it is a pipe (FIFO), and only a regular file is read')
  expect(await both('/dev/zero', 1024)).toContain('it is a device')
  expect(await both(tmpdir(), 1024)).toContain('it is a folder')
  const large = join(folder(), 'b')
  writeFileSync(large, 'x'.repeat(2_000))
  expect(await both(large, 1024)).toContain('it is larger than 1 KiB')
  // Files of /proc say that they are empty, and are not.
  expect(await both('/proc/self/smaps', 10)).toContain('it is larger than')
  expect(await both(join(folder(), 'c'), 10)).toContain('ENOENT')
})
