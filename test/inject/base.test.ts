import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { readBase } from '../../inject/options.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

async function read(text: string): Promise<unknown> {
  const file = join(temporaryFolder(), 'base.yaml')
  writeFileSync(file, text)
  return await readBase(file)
}

test('what all sidecars get is a part of a file: names, ports and addresses are those of each pod', async () => {
  const base = 'discovery: { consul: { address: "http://${HOST_IP}:8500" } }\nregister: { address: "${POD_IP}" }\n'
  expect(await read(base)).toEqual({
    discovery: { consul: { address: 'http://${HOST_IP}:8500' } },
    register: { address: '${POD_IP}' },
  })
  expect(await read('')).toEqual({})
})

test('a mistake in it is said with its file and what was meant', async () => {
  await expect(read('acessLog: errors\n')).rejects.toThrow(/base\.yaml: .*did you mean "accessLog"\?/)
  await expect(read('register: {}\n')).rejects.toThrow(/base\.yaml: .*consul/)
})
