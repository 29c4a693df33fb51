import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { commands } from '../../cli/commands.ts'
import { node, root, run, temporaryFolder } from '../integration/support/child.ts'

const outrigger = (...args: string[]) => run(node, [join(root, 'bin/outrigger.js'), ...args])
const names = Object.keys(commands)

test.each(['bash', 'zsh', 'fish'])('%s: every command and option is there', async shell => {
  const { code, out } = await outrigger('completion', shell)
  expect(code).toBe(0)
  for (const word of [...names, 'effective', 'json', 'strict', 'log-level', 'ejected', 'service'])
    expect(out).toContain(word)
})

test('another shell is told which there are', async () => {
  expect(await outrigger('completion', 'tcsh')).toMatchObject({
    code: 2,
    err: expect.stringContaining('Allowed choices are bash, zsh, fish'),
  })
})

describe('bash, with the script in force', () => {
  let script: string
  beforeAll(async () => {
    script = join(temporaryFolder(), 'outrigger.bash')
    writeFileSync(script, (await outrigger('completion', 'bash')).out)
  })

  /** What is offered for the last of these words. */
  async function offered(...words: readonly string[]): Promise<string[]> {
    const typed = words.map(word => `'${word}'`).join(' ')
    const { code, out, err } = await run('/bin/bash', [
      '-c',
      `source ${script}; COMP_WORDS=(outrigger ${typed}); COMP_CWORD=${words.length}; _outrigger; printf '%s\\n' "\${COMPREPLY[@]}"`,
    ])
    expect([code, err]).toEqual([0, ''])
    return out.split('\n').filter(line => line !== '')
  }

  test.each<[readonly string[], readonly string[]]>([
    [['e'], ['explain', 'endpoints']],
    [
      ['config', ''],
      ['check', 'lint', 'effective', 'schema'],
    ],
    [
      ['config', 'schema', 's'],
      ['sidecar', 'service'],
    ],
    [['config', 'check', '--s'], ['--strict']],
    [['endpoints', '--only', 'e'], ['ejected']],
    [['endpoints', 'orders', '--js'], ['--json']],
    [['proxy', '--log-level', 'w'], ['warn']],
    [['completion', 'z'], ['zsh']],
    // A file: left to the shell.
    [['proxy', '-c', ''], []],
    [['config', 'check', 'side'], []],
  ])('%j', async (words, expected) => {
    expect(await offered(...words)).toEqual(expected)
  })

  test('all commands', async () => {
    expect((await offered('')).sort()).toEqual([...names].sort())
  })
})
