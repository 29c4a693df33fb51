import { chownSync, lchownSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { distrust } from '../../mesh-config/agent/distrust.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

const isRoot = process.getuid!() === 0
/** As root a file can be given to somebody else; anybody else looks at an own one with other eyes. */
const SOMEBODY = 65_534
const uid = isRoot ? 1_000 : process.getuid!() + 1

function made(): { readonly folder: string; readonly socket: string } {
  const folder = join(temporaryFolder(), 'outrigger')
  mkdirSync(folder)
  const socket = join(folder, 'agent.sock')
  writeFileSync(socket, '')
  return { folder, socket }
}

function give(path: string): void {
  if (isRoot) chownSync(path, SOMEBODY, SOMEBODY)
}

test('a socket of another user is not trusted, nor one in a folder of another user', () => {
  const { folder, socket } = made()
  give(socket)
  expect(distrust(socket, uid)).toMatch(isRoot ? /agent\.sock belongs to another user \(uid 65534\)/ : /another user/)
  give(folder)
  expect(distrust(socket, uid)).toMatch(/outrigger belongs to another user/)
})

test('nor one behind a link of another user', () => {
  const { folder } = made()
  const link = join(temporaryFolder(), 'link')
  symlinkSync(folder, link)
  if (isRoot) lchownSync(link, SOMEBODY, SOMEBODY)
  expect(distrust(join(link, 'agent.sock'), uid)).toMatch(/link belongs to another user/)
})

test('an own one is, and so is one that is not there', () => {
  const { folder, socket } = made()
  expect(distrust(socket, process.getuid!())).toBe('')
  expect(distrust(join(folder, 'none', 'agent.sock'), process.getuid!())).toBe('')
})
