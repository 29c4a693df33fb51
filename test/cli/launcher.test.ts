import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { node, root, run, startChild, temporaryFolder } from '../integration/support/child.ts'

const launcher = join(root, 'bin/outrigger.js')
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }

/** As an older Node would say of itself: enough for the launcher, and not inherited by what it starts. */
const older = ['--import', `data:text/javascript,Object.defineProperty(process,'versions',{value:{...process.versions,node:'20.20.2'}})`]

/** The launcher alone in a folder, as a global install without the rest of a clone; `beside` is put into node_modules/node. */
function installed(beside: { version: string; program: string } | null): string {
  const modules = join(temporaryFolder(), 'lib/node_modules')
  mkdirSync(join(modules, 'outrigger/bin'), { recursive: true })
  writeFileSync(join(modules, 'outrigger/package.json'), '{ "type": "module" }')
  copyFileSync(launcher, join(modules, 'outrigger/bin/outrigger.js'))
  if (beside !== null) {
    mkdirSync(join(modules, 'node/bin'), { recursive: true })
    writeFileSync(join(modules, 'node/package.json'), JSON.stringify({ version: beside.version }))
    writeFileSync(join(modules, 'node/bin/node'), beside.program, { mode: 0o755 })
  }
  return join(modules, 'outrigger/bin/outrigger.js')
}

test('on a Node that is new enough it runs the program itself', async () => {
  expect(await run(node, [launcher, '--version'])).toMatchObject({ code: 0, out: `${version}\n`, err: '' })
})

test('on an older one it runs it with the Node of node_modules, and exits as that did', async () => {
  expect(await run(node, [...older, launcher, '--version'])).toMatchObject({ code: 0, out: `${version}\n`, err: '' })
  expect(await run(node, [...older, launcher, 'proxy', '-c', '/no/such.yaml'])).toMatchObject({ code: 2, err: expect.stringContaining('/no/such.yaml') })
})

describe('on an older one, installed globally', () => {
  test('it finds the package `node` beside it, and hands on the arguments and how it ended', async () => {
    const program = installed({ version: '26.10.0', program: '#!/bin/sh\necho "$OUTRIGGER_LAUNCHED" "$@"\nexit 7\n' })
    expect(await run(node, [...older, program, 'proxy', '-c', 'a b.yaml'])).toMatchObject({ code: 7, out: `1 ${program} proxy -c a b.yaml\n` })
  })

  test('it passes on signals, and ends by the one that ended the other', async () => {
    const program = installed({ version: '26.10.0', program: `#!/bin/sh\ntrap 'echo hup' HUP\necho up\nwhile :; do sleep 0.05; done\n` })
    const child = startChild(node, [...older, program])
    await child.said('that it is up', out => out.includes('up'))
    child.signal('SIGHUP')
    await child.said('that it got the signal', out => out.includes('hup'))
    child.signal('SIGTERM')
    expect(await child.ended).toEqual({ code: null, signal: 'SIGTERM' })
  })

  test.each([
    ['none', null],
    ['one that is too old', { version: '22.0.0', program: '#!/bin/sh\nexit 0\n' }],
  ])('with %s beside it, it says in one sentence what to do', async (_what, beside) => {
    const { code, err } = await run(node, [...older, installed(beside), 'proxy'])
    expect([code, err]).toEqual([
      1,
      expect.stringMatching(/^outrigger needs Node\.js 24\.12 or newer, and this is 20\.20\.2: .*npm install --global node@26.*\n$/),
    ])
  })
})
