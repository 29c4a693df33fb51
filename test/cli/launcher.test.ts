import {
  chmodSync,
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { node, root, run, startChild, temporaryFolder } from '../integration/support/child.ts'
import { freePort } from '../integration/support/ports.ts'
import { get } from '../integration/support/proxy.ts'
import { until } from '../integration/support/until.ts'

const launcher = join(root, 'bin/outrigger.js')
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }

/** As an older Node would say of itself: enough for the launcher, and not inherited by what it starts. */
const older = [
  '--import',
  `data:text/javascript,Object.defineProperty(process,'versions',{value:{...process.versions,node:'20.20.2'}});process.execve=undefined`,
]
/** Old, and yet able to be replaced by another program. */
const replaceable = ['--import', older[1]!.replace('process.execve=undefined', '')]

/** A sidecar's file, and what tells that it serves. */
async function sidecar() {
  const [port, admin] = [await freePort(), await freePort()]
  const file = join(temporaryFolder(), 'sidecar.yaml')
  writeFileSync(
    file,
    `admin: 127.0.0.1:${admin}\noutbound: [{ listen: '127.0.0.1:${port}', service: orders }]\ndiscovery: { endpoints: { orders: ['127.0.0.1:9'] } }\n`,
  )
  return {
    file,
    admin,
    isOpen: () =>
      get(admin, '/live').then(
        ({ status }) => status === 200,
        () => false,
      ),
  }
}

/**
 * The launcher alone in a folder, as a global install without the rest of a clone; `beside` is put into
 * node_modules/node.
 */
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
  expect(await run(node, [...older, launcher, 'proxy', '-c', '/no/such.yaml'])).toMatchObject({
    code: 2,
    err: expect.stringContaining('/no/such.yaml'),
  })
})

describe('on an older one, installed globally', () => {
  test('it finds the package `node` beside it, and hands on the arguments and how it ended', async () => {
    const program = installed({ version: '26.10.0', program: '#!/bin/sh\necho "$OUTRIGGER_LAUNCHED" "$@"\nexit 7\n' })
    expect(await run(node, [...older, program, 'proxy', '-c', 'a b.yaml'])).toMatchObject({
      code: 7,
      out: `child ${program} proxy -c a b.yaml\n`,
    })
  })

  test('it passes on signals, and ends by the one that ended the other', async () => {
    const program = installed({
      version: '26.10.0',
      program: `#!/bin/sh\ntrap 'echo hup' HUP\necho up\nwhile :; do sleep 0.05; done\n`,
    })
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
      expect.stringMatching(
        /^outrigger needs Node\.js 24\.12 or newer, and this is 20\.20\.2: .*npm install --global node@26.*\n$/,
      ),
    ])
  })
})

describe('a launcher that is killed', () => {
  test('takes the proxy with it: the ports are free', async () => {
    const { file, isOpen } = await sidecar()
    await using old = startChild(node, [...older, launcher, 'proxy', '-c', file])
    await old.said('that it is ready', out => out.includes('admin '))
    expect(await isOpen()).toBe(true)
    old.signal('SIGKILL')
    await until('that the proxy is gone', async () => !(await isOpen()))
  })

  test('does not exist where the older Node can become the newer one', async () => {
    const { file } = await sidecar()
    await using old = startChild(node, [...replaceable, launcher, 'proxy', '-c', file])
    await old.said('that it is ready', out => out.includes('admin '))
    expect(readFileSync(`/proc/${old.pid}/cmdline`, 'utf8').split('\0').slice(1, 3)).toEqual([launcher, 'proxy'])
  })

  test.each(['SIGTERM', 'SIGKILL'] as const)('as `npx` by %s: neither stays behind', async signal => {
    const { file, isOpen } = await sidecar()
    // As npm runs it: in a shell that waits for it.
    const script = `"${node}" "${launcher}" proxy -c "${file}"; exit $?`
    const npx = startChild('/bin/sh', ['-c', `/bin/sh -c '${script}'; exit $?`], { npm_command: 'exec' })
    await npx.said('that it is ready', out => out.includes('admin '))
    npx.signal(signal)
    await until('that the proxy is gone', async () => !(await isOpen()), 20_000)
  })
})

describe('signals in the first moments', () => {
  test.each([
    ['the program itself', []],
    ['an older Node before it', older],
  ])('SIGHUP and SIGUSR1 end nothing and open no inspector: %s', async (_what, before) => {
    const { file, isOpen } = await sidecar()
    await using proxy = startChild(node, [...before, launcher, 'proxy', '-c', file])
    // From when the handlers of the launcher are there, over and over.
    await until('its handlers', () => catches(proxy.pid, 1))
    const timer = setInterval(() => {
      proxy.signal('SIGHUP')
      proxy.signal('SIGUSR1')
    }, 5)
    await proxy.said('that it is ready', out => out.includes('admin ')).finally(() => clearInterval(timer))
    expect(await isOpen()).toBe(true)
    expect(proxy.err()).not.toMatch(/Debugger|inspector/)
    await proxy.said('that it read the files again', (_out, err) => err.includes('SIGHUP: nothing changed'))
  })

  test('an inspector that Node opened before any of our code ran is closed again', async () => {
    const { file } = await sidecar()
    const preload = join(temporaryFolder(), 'early.cjs')
    writeFileSync(preload, "require('node:inspector').open(0)")
    await using proxy = startChild(node, ['--require', preload, launcher, 'proxy', '-c', file])
    await proxy.said('that it was closed', (_out, err) =>
      err.includes('opened the inspector of Node: it is closed again'),
    )
  })

  test('SIGTERM before anything is open ends it with 0', async () => {
    const { file } = await sidecar()
    await using proxy = startChild(node, [launcher, 'proxy', '-c', file])
    await until('its handlers', () => catches(proxy.pid, 1))
    proxy.signal('SIGTERM')
    expect(await proxy.ended).toEqual({ code: 0, signal: null })
  })
})

/** Whether the process has a handler for this signal, as the kernel sees it. */
function catches(pid: number, signal: number): boolean {
  const mask = /^SigCgt:\t(.*)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]!
  return ((BigInt(`0x${mask}`) >> BigInt(signal - 1)) & 1n) === 1n
}

describe('compiled code is kept', () => {
  const start = (env: NodeJS.ProcessEnv) =>
    run(node, [launcher, '--version'], { NODE_COMPILE_CACHE: undefined, CACHE_DIRECTORY: undefined, ...env })

  test('in a folder of the user that nobody else may read or write', async () => {
    const home = temporaryFolder()
    expect((await start({ HOME: home, XDG_CACHE_HOME: undefined, TMPDIR: home })).code).toBe(0)
    const folder = join(home, '.cache/outrigger')
    expect(lstatSync(folder).mode & 0o777).toBe(0o700)
    expect(readdirSync(folder).length).toBeGreaterThan(0)
    expect(readdirSync(home)).toEqual(['.cache'])
  })

  test('in the folder that systemd gives', async () => {
    const folder = temporaryFolder()
    await start({ CACHE_DIRECTORY: folder })
    expect(readdirSync(folder)).toEqual(['outrigger'])
  })

  test.each([
    ['there is no home', (_folder: string) => ({ HOME: undefined, XDG_CACHE_HOME: undefined })],
    [
      'somebody put a link there',
      (folder: string) => {
        mkdirSync(join(folder, 'theirs'))
        symlinkSync(join(folder, 'theirs'), join(folder, 'outrigger'))
        return { XDG_CACHE_HOME: folder }
      },
    ],
    [
      'anybody could put another folder in its place',
      (folder: string) => {
        chmodSync(folder, 0o777)
        return { XDG_CACHE_HOME: folder }
      },
    ],
    ['nothing can be written', (folder: string) => ({ XDG_CACHE_HOME: join(folder, 'file/under') })],
  ])('nowhere where %s, and it runs all the same', async (_what, prepare) => {
    const folder = temporaryFolder()
    writeFileSync(join(folder, 'file'), '')
    expect(await start({ TMPDIR: folder, ...prepare(folder) })).toMatchObject({ code: 0, err: '' })
    expect(readdirSync(folder).filter(name => name !== 'file' && name !== 'theirs' && name !== 'outrigger')).toEqual([])
    if (existsSync(join(folder, 'theirs'))) expect(readdirSync(join(folder, 'theirs'))).toEqual([])
  })
})
