import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { fileSource } from '../../../agent/policy/files.ts'
import type { PolicyDocument } from '../../../agent/policy/source.ts'
import { temporaryFolder } from '../../support/temporary-folder.ts'

const ends: (() => void)[] = []
afterEach(() => {
  for (const end of ends.splice(0)) end()
})

function watched(path: string, hadDocuments = false) {
  const end = new AbortController()
  ends.push(() => end.abort())
  const sets: (readonly PolicyDocument[])[] = []
  const troubles: string[] = []
  const watcher = {
    hadDocuments,
    onSet: (documents: readonly PolicyDocument[]) => void sets.push(documents),
    onTrouble: (reason: string) => void troubles.push(reason),
  }
  fileSource(path, 'policies').watch(watcher, end.signal)
  const now = () => Object.fromEntries((sets.at(-1) ?? []).map(({ service, text }) => [service, text]))
  return { sets, troubles, now }
}

describe('a folder of documents', () => {
  test('may come later; its files are those with the right ending', async () => {
    const folder = join(temporaryFolder(), 'policies')
    const { now, sets } = watched(folder)
    await expect.poll(() => sets).toEqual([[]])
    mkdirSync(folder)
    for (const name of ['orders.yaml', 'users.yml', 'stock.json', 'defaults.yaml', 'notes.txt', '.hidden.yaml'])
      writeFileSync(join(folder, name), `# ${name}`)
    mkdirSync(join(folder, 'more.yaml.d'))
    await expect.poll(now).toEqual({
      '*': '# defaults.yaml',
      orders: '# orders.yaml',
      stock: '# stock.json',
      users: '# users.yml',
    })
    rmSync(join(folder, 'users.yml'))
    await expect.poll(() => Object.keys(now())).toEqual(['*', 'orders', 'stock'])
  })

  test('is followed while others write beside it without end', async () => {
    const around = temporaryFolder()
    const folder = join(around, 'policies')
    mkdirSync(folder)
    writeFileSync(join(folder, 'orders.yaml'), '# 1')
    const { now } = watched(folder)
    await expect.poll(now).toEqual({ orders: '# 1' })
    const noise = setInterval(() => {
      writeFileSync(join(around, 'agent.log'), String(Math.random()))
      writeFileSync(join(folder, 'other.log'), String(Math.random()))
    }, 20)
    ends.push(() => clearInterval(noise))
    writeFileSync(join(folder, '.new'), '# 2')
    renameSync(join(folder, '.new'), join(folder, 'orders.yaml'))
    await expect.poll(now).toEqual({ orders: '# 2' })
  })

  test('behind a link that is replaced, as Kubernetes mounts one', async () => {
    const around = temporaryFolder()
    for (const name of ['a', 'b']) {
      mkdirSync(join(around, name))
      writeFileSync(join(around, name, 'orders.yaml'), `# ${name}`)
    }
    const folder = join(around, 'policies')
    mkdirSync(folder)
    symlinkSync(join(around, 'a'), join(folder, '..data'))
    symlinkSync(join('..data', 'orders.yaml'), join(folder, 'orders.yaml'))
    const { now } = watched(folder)
    await expect.poll(now).toEqual({ orders: '# a' })
    symlinkSync(join(around, 'b'), join(folder, '..new'))
    renameSync(join(folder, '..new'), join(folder, '..data'))
    await expect.poll(now).toEqual({ orders: '# b' })
  })

  test('two files for one service: both are named, and neither counts', async () => {
    const folder = temporaryFolder()
    writeFileSync(join(folder, 'orders.json'), '{}')
    writeFileSync(join(folder, 'orders.yaml'), '')
    const { sets } = watched(folder)
    await expect
      .poll(() => sets.at(-1)?.map(({ errors }) => errors))
      .toEqual([['policies/orders.yaml: policies/orders.json is for orders too: keep one of them']])
  })

  test('a file that is too large, or no file at all, is refused by its reason', async () => {
    const folder = temporaryFolder()
    writeFileSync(join(folder, 'orders.yaml'), 'x'.repeat(1024 * 1024 + 1))
    mkdirSync(join(folder, 'users.yaml'))
    const { sets } = watched(folder)
    await expect
      .poll(() => sets.at(-1)?.map(({ errors }) => errors))
      .toEqual([['policies/orders.yaml: it is larger than 1 MiB'], ['policies/users.yaml: it is a folder']])
  })

  test('that is not there although it had documents is trouble, and takes nothing away', async () => {
    const { sets, troubles } = watched(join(temporaryFolder(), 'policies'), true)
    await expect.poll(() => troubles).toEqual(['policies is gone: its documents stay in force'])
    expect(sets).toEqual([])
  })
})

test('one file is a document for the service of its name', async () => {
  const file = join(temporaryFolder(), 'orders.yaml')
  writeFileSync(file, '# 1')
  const { now } = watched(file)
  await expect.poll(now).toEqual({ orders: '# 1' })
  writeFileSync(file, '# 2')
  await expect.poll(now).toEqual({ orders: '# 2' })
})
