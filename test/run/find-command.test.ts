import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { findCommand } from '../../run/find-command.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

const folder = temporaryFolder()
const [first, second] = [join(folder, 'first'), join(folder, 'second')]
for (const each of [first, second]) mkdirSync(each)
mkdirSync(join(first, 'both'))
for (const [file, mode] of [
  [join(second, 'both'), 0o755],
  [join(first, 'plain'), 0o644],
  [join(second, 'good'), 0o755],
] as const) {
  writeFileSync(file, '#!/bin/sh\n')
  chmodSync(file, mode)
}
const path = `${first}:${second}`

test.each([
  ['good', null],
  ['both', null],
  ['./second/good', null],
  [join(second, 'good'), null],
  ['plain', 126],
  ['./first', 126],
  ['./first/plain', 126],
  ['none', 127],
  ['./none', 127],
  ['', 126],
] as const)('%s: %s', (command, code) => {
  const found = findCommand(command, path, folder)
  expect(found.ok ? null : found.code).toBe(code)
})

test('it says which file is not executable', () => {
  expect(findCommand('plain', path, folder)).toMatchObject({
    reason: `${join(first, 'plain')} is not executable: chmod +x`,
  })
})
