import { execFileSync } from 'node:child_process'
import {
  appendFileSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, onTestFinished, test } from 'vitest'
import { readEndpointFile } from '../../mesh-config/endpoint-file.ts'
import type { EndpointSpec } from '../../mesh-config/snapshot.ts'
import { signatureOf, watchFiles } from '../../proxy/control/watch-files.ts'
import { type FileDeps, fileSource } from '../../proxy/discovery/file.ts'
import { systemClock } from '../../proxy/system/clock.ts'
import { temporaryFolder } from '../integration/support/child.ts'
import { until } from '../integration/support/until.ts'
import { manualClock } from '../support/clock.ts'
import { EventLoop } from '../support/event-loop.ts'

/** All that the source says: addresses, or `! trouble`; what is only said again is left out. */
/** What the proxy leaves to a process of its own. */
let parsed: string[] = []
const readEndpointText = (path: string, text: string) => {
  parsed.push(text)
  return Promise.resolve(readEndpointFile(path, text))
}

function watching(path: string, deps: FileDeps = { clock: systemClock, watchFiles, signatureOf, readEndpointText }) {
  const abort = new AbortController()
  onTestFinished(() => abort.abort())
  const said: string[] = []
  const sets: (readonly EndpointSpec[])[] = []
  let times = 0
  const say = (text: string) => {
    times++
    if (said.at(-1) !== text) said.push(text)
  }
  const source = fileSource({ service: 'orders', path }, deps)
  source.watch(
    {
      onSet(endpoints) {
        sets.push(endpoints)
        say(endpoints.map(({ address, port }) => `${address}:${port}`).join(' '))
      },
      isDoubted: () => false,
      onTrouble: reason => say(`! ${reason.replaceAll(path, 'FILE')}`),
    },
    abort.signal,
  )
  return {
    source,
    said,
    sets,
    times: () => times,
    stop: () => abort.abort(),
    hears: (text: string) => until(`it says ${text}, not ${said.at(-1)}`, () => said.at(-1) === text),
  }
}

test('a list of ours, in YAML: all that can be said of an endpoint', async () => {
  const path = join(temporaryFolder(), 'orders.yaml')
  writeFileSync(
    path,
    `# orders
- 10.0.0.1:80
- { address: "[::1]:80", weight: 3, priority: 1, zone: b, meta: { version: v2, raw: "\${HOME}" }, health: draining }
`,
  )
  const { source, hears, sets } = watching(path)
  await hears('10.0.0.1:80 ::1:80')
  expect(source.name).toBe(`file ${path}`)
  expect(sets[0]).toEqual([
    {
      address: '10.0.0.1',
      port: 80,
      weight: 1,
      priority: 0,
      zone: '',
      metadata: {},
      health: 'passing',
      healthReason: '',
    },
    {
      address: '::1',
      port: 80,
      weight: 3,
      priority: 1,
      zone: 'b',
      metadata: { version: 'v2', raw: '${HOME}' },
      health: 'draining',
      healthReason: 'as listed',
    },
  ])
})

test('written in place, and replaced by a rename', async () => {
  const path = join(temporaryFolder(), 'orders.json')
  writeFileSync(path, '["a:1"]')
  const { hears } = watching(path)
  await hears('a:1')
  writeFileSync(path, '["a:1", "b:1"]')
  await hears('a:1 b:1')
  writeFileSync(`${path}.new`, '["c:1"]')
  renameSync(`${path}.new`, path)
  await hears('c:1')
  writeFileSync(path, '[]')
  await hears('')
})

test('a Kubernetes ConfigMap: the link stays, the folder behind it is swapped', async () => {
  const root = temporaryFolder()
  for (const version of ['v1', 'v2']) {
    mkdirSync(join(root, version))
    writeFileSync(join(root, version, 'orders.json'), `["${version}:1"]`)
  }
  symlinkSync('v1', join(root, '..data'))
  symlinkSync('..data/orders.json', join(root, 'orders.json'))
  const { hears } = watching(join(root, 'orders.json'))
  await hears('v1:1')
  symlinkSync('v2', join(root, '..data_tmp'))
  renameSync(join(root, '..data_tmp'), join(root, '..data'))
  await hears('v2:1')
})

describe('trouble', () => {
  test('a file that is not there yet is trouble, and then it is there', async () => {
    const path = join(temporaryFolder(), 'orders.json')
    const { hears } = watching(path)
    await hears('! FILE: there is no such file: check the path under discovery.files')
    writeFileSync(path, '["a:1"]')
    await hears('a:1')
    rmSync(path)
    await hears('! FILE: there is no such file: check the path under discovery.files')
  })

  test.each([
    ['empty', '', '! FILE: the file is empty: write [] where there are no endpoints'],
    ['blank', ' \n\n', '! FILE: the file is empty: write [] where there are no endpoints'],
    ['cut off', '["a:1", "b', '! FILE:1:11: a quote that was opened before is not closed'],
    [
      'of another kind',
      'orders: [a:1]',
      '! FILE:1:1: a list of endpoints belongs here: begin each with "- ", or write []',
    ],
    ['half right', '["a:1", "b"]', '! FILE:1:9: [1]: "b" has no port: write host:port, such as 127.0.0.1:3000'],
  ])('a file that is %s says what would be right, and changes nothing', async (_what, text, trouble) => {
    const path = join(temporaryFolder(), 'orders.json')
    writeFileSync(path, '["a:1"]')
    const { hears, said } = watching(path)
    await hears('a:1')
    writeFileSync(path, text)
    await hears(trouble)
    writeFileSync(path, '["c:1"]')
    await hears('c:1')
    expect(said).toEqual(['a:1', trouble, 'c:1'])
  })

  test('a folder is no file', async () => {
    const { hears } = watching(temporaryFolder())
    await hears('! FILE: it is a folder')
  })

  test('a pipe is no file, and not waited for', async () => {
    const path = join(temporaryFolder(), 'orders.json')
    execFileSync('/usr/bin/mkfifo', [path])
    const { hears } = watching(path)
    await hears('! FILE: it is a pipe (FIFO), and only a regular file is read')
  })

  test('what was refused is not parsed again as long as it is the same', async () => {
    parsed = []
    const path = join(temporaryFolder(), 'orders.yaml')
    writeFileSync(path, '['.repeat(5_000))
    const loop = new EventLoop()
    const { times } = watching(path, {
      clock: manualClock(loop),
      watchFiles: () => () => {},
      signatureOf,
      readEndpointText,
    })
    for (let i = 1; i <= 3; i++) {
      await until(`answer ${i}`, () => times() === i)
      loop.advance(5_100)
    }
    expect(parsed).toHaveLength(1)
  })

  test('is looked at again, also where watching sees no change (permissions, network file systems)', async () => {
    const path = join(temporaryFolder(), 'orders.json')
    writeFileSync(path, '')
    const loop = new EventLoop()
    const { hears } = watching(path, {
      clock: manualClock(loop),
      watchFiles: () => () => {},
      signatureOf,
      readEndpointText,
    })
    await hears('! FILE: the file is empty: write [] where there are no endpoints')
    writeFileSync(path, '["a:1"]')
    loop.advance(5_100)
    await hears('a:1')
  })
})

test('a file that is written slowly may look whole at times: each set is said a second time when it stays', async () => {
  const path = join(temporaryFolder(), 'orders.yaml')
  writeFileSync(path, '- a:1\n- b:1\n- c:1\n')
  const { hears, said, times } = watching(path)
  await hears('a:1 b:1 c:1')
  writeFileSync(path, '- a:1\n')
  await hears('a:1')
  appendFileSync(path, '- b:1\n- c:1\n')
  await hears('a:1 b:1 c:1')
  await until('that it is confirmed', () => times() >= 4)
  expect(said).toEqual(['a:1 b:1 c:1', 'a:1', 'a:1 b:1 c:1'])
})

test('replaced while it was being read: read again', async () => {
  const path = join(temporaryFolder(), 'orders.json')
  writeFileSync(path, '["a:1"]')
  let changed: (() => void) | null = null
  const watch: FileDeps['watchFiles'] = (_files, _read, tell) => {
    changed = tell
    return () => {}
  }
  const { hears } = watching(path, {
    clock: manualClock(new EventLoop()),
    watchFiles: watch,
    signatureOf,
    readEndpointText,
  })
  await hears('a:1')
  const tell = await until('that it is watched', () => changed)
  // So large that reading it takes many turns.
  writeFileSync(path, `["b:1"${' '.repeat(15_000_000)}]`)
  tell()
  const isOpen = () => readdirSync('/proc/self/fd').some(fd => linkOf(`/proc/self/fd/${fd}`) === path)
  for (let i = 0; i < 100_000 && !isOpen(); i++) await new Promise(setImmediate)
  expect(isOpen()).toBe(true)
  writeFileSync(`${path}.new`, '["c:1"]')
  renameSync(`${path}.new`, path)
  tell()
  await hears('c:1')
})

function linkOf(path: string): string {
  try {
    return readlinkSync(path)
  } catch {
    return ''
  }
}

test('when it is stopped it watches no longer', async () => {
  const path = join(temporaryFolder(), 'orders.json')
  writeFileSync(path, '["a:1"]')
  let watched = 0
  const watch: FileDeps['watchFiles'] = () => {
    watched++
    return () => watched--
  }
  const { stop } = watching(path, {
    clock: manualClock(new EventLoop()),
    watchFiles: watch,
    signatureOf,
    readEndpointText,
  })
  await until('that it watches', () => watched === 1)
  stop()
  expect(watched).toBe(0)
})

test('after it was stopped nothing is said', async () => {
  const path = join(temporaryFolder(), 'orders.json')
  writeFileSync(path, '["a:1"]')
  const { hears, said, stop, times } = watching(path)
  await hears('a:1')
  stop()
  const before = times()
  writeFileSync(path, '["b:1"]')
  await sleep(400)
  expect(said).toEqual(['a:1'])
  expect(times()).toBe(before)
})

test('stopped before it has read anything, it says nothing either', async () => {
  const path = join(temporaryFolder(), 'orders.json')
  writeFileSync(path, '["a:1"]')
  const { stop, said } = watching(path)
  stop()
  await sleep(100)
  expect(said).toEqual([])
})
