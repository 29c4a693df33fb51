import { execFileSync } from 'node:child_process'
import {
  appendFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { buildOf, type CacheHead, type Config, cachedConfig, cacheFile } from '../../proxy/control/config-cache.ts'
import { keepConfig } from '../../proxy/control/keep-config.ts'
// @ts-expect-error plain JavaScript, for the launcher
import { isBuilt } from '../../scripts/fresh.js'
import { node, root, run, startChild, temporaryFolder } from '../integration/support/child.ts'
import { freePort } from '../integration/support/ports.ts'
import { outrigger, startProxy } from '../integration/support/proxy.ts'
import { until } from '../integration/support/until.ts'
import { noDiscovery, snapshotOf, traceExport } from '../support/specs.ts'

let folder: string
let file: string
let program: string
const before = { ...process.env }

beforeEach(() => {
  folder = temporaryFolder()
  file = join(folder, 'sidecar.yaml')
  program = join(folder, 'reader.js')
  writeFileSync(file, 'service: web\n')
  writeFileSync(program, '// reads\n')
  mkdirSync(join(folder, 'cache'))
  process.env.OUTRIGGER_CACHE_FOLDER = join(folder, 'cache')
  process.env.PORT = '80'
})
afterEach(() => {
  for (const name of Object.keys(process.env)) if (!(name in before)) delete process.env[name]
})

/** Only the program that is built keeps anything. */
const expectBuilt = () => expect(isBuilt(root), 'dist/ is older than the sources: node scripts/build.js').toBe(true)

const config = (over: Partial<Config> = {}): Config => ({
  ok: true,
  bootstrap: {
    service: 'web',
    admin: null,
    adminHosts: [],
    metrics: null,
    workers: 1,
    state: null,
    register: null,
    dns: null,
    traces: traceExport,
  },
  discovery: noDiscovery,
  agent: { kind: 'default' },
  snapshot: snapshotOf([], [], { version: 'one' }),
  warnings: ['sidecar.yaml:1:1: odd'],
  ...over,
})
const head = (over: Partial<CacheHead> = {}): CacheHead => ({
  build: buildOf(program),
  files: [{ file, text: readFileSync(file, 'utf8') }],
  env: { PORT: '80', HOST: null },
  ...over,
})
const effective = { json: 'e30=', text: 'AA==', own: 'AA==' }
const keep = (over: Partial<CacheHead> = {}, of: Config = config()) => keepConfig(head(over), of, effective)
const find = () => cachedConfig([file], program)

test('what was kept is found again, warnings and the effective configuration with it', () => {
  expect(find()).toBeNull()
  keep()
  expect(find()?.config).toEqual(config({ snapshot: expect.objectContaining({ version: 'one' }) as never }))
  expect(find()?.effective()).toEqual(effective)
  expect(statSync(cacheFile([file])!).mode & 0o777).toBe(0o600)
})

describe('it is not used', () => {
  test.each<[string, () => void]>([
    ['the file has another text', () => appendFileSync(file, '# more\n')],
    ['the file is gone', () => rmSync(file)],
    ['a variable has another value', () => void Object.assign(process.env, { PORT: '81' })],
    ['a variable is set that was not', () => void Object.assign(process.env, { HOST: 'a' })],
    ['a variable is not set any more', () => void delete process.env.PORT],
    ['the program is another one', () => appendFileSync(program, '// another\n')],
    ['the program was built anew', () => utimesSync(program, 1, 1)],
    ['it is no cache', () => writeFileSync(cacheFile([file])!, 'nonsense\n{}\n')],
    ['it was cut off', () => writeFileSync(cacheFile([file])!, readFileSync(cacheFile([file])!, 'utf8').slice(0, 700))],
    ['there is no private folder', () => void delete process.env.OUTRIGGER_CACHE_FOLDER],
  ])('where %s', (_what, change) => {
    keep()
    expect(find()).not.toBeNull()
    change()
    expect(find()).toBeNull()
  })

  test('for other files, or the same in another order', () => {
    const other = join(folder, 'other.yaml')
    writeFileSync(other, '')
    keep({ files: [file, other].map(name => ({ file: name, text: readFileSync(name, 'utf8') })) })
    expect(cachedConfig([file, other], program)).not.toBeNull()
    expect(cachedConfig([other, file], program)).toBeNull()
    expect(find()).toBeNull()
  })

  test('where the file is a pipe: only the reader may read that', () => {
    keep()
    rmSync(file)
    execFileSync('/usr/bin/mkfifo', [file])
    expect(find()).toBeNull()
  })
})

describe('nothing is kept', () => {
  test('of files that hold a secret, in whatever way', async () => {
    expectBuilt()
    const listening = 'outbound: [{ listen: 127.0.0.1:1, service: orders }]\ndiscovery: '
    const files: Record<string, string> = {
      plain: `service: "\${PORT}"\n${listening}{ endpoints: { orders: [127.0.0.1:9] } }\n`,
      'a variable named as a secret': `service: "\${MY_SECRET}"\n${listening}{ endpoints: { orders: [127.0.0.1:9] } }\n`,
      'a token': `${listening}{ consul: { token: hush } }\n`,
    }
    const kept: Record<string, number> = {}
    for (const [name, text] of Object.entries(files)) {
      const cache = temporaryFolder()
      writeFileSync(file, text)
      const { code, out } = await run(node, ['dist/load-config.js', file], {
        OUTRIGGER_CACHE_FOLDER: cache,
        MY_SECRET: 'hush',
      })
      expect([code, JSON.parse(out.split('\n')[0]!)]).toMatchObject([0, { ok: true }])
      kept[name] = readdirSync(cache).length
    }
    expect(kept).toEqual({ plain: 1, 'a variable named as a secret': 0, 'a token': 0 })
  })

  test('that is very large', () => {
    keep({ files: [{ file: '/x', text: 'x'.repeat(9 * 1024 * 1024) }] })
    expect(readdirSync(join(folder, 'cache'))).toEqual([])
  })

  test('where nothing can be written, and that is no error', () => {
    process.env.OUTRIGGER_CACHE_FOLDER = file
    expect(() => keep()).not.toThrow()
  })
})

test('the files of the last 32 sidecars are kept', () => {
  for (let index = 0; index < 40; index++) {
    const files = [{ file: `/etc/${index}.yaml`, text: '' }]
    keep({ files })
    utimesSync(cacheFile([`/etc/${index}.yaml`])!, index, index)
  }
  const kept = readdirSync(dirname(cacheFile([file])!))
  expect(kept).toHaveLength(32)
  expect(cacheFile(['/etc/39.yaml'])).toContain(kept.find(name => cacheFile(['/etc/39.yaml'])!.endsWith(name))!)
})

test('the second start of the program that is built reads what the first one kept', async () => {
  expectBuilt()
  const port = await freePort()
  const cache = temporaryFolder()
  const env = { CACHE_DIRECTORY: cache, XDG_STATE_HOME: temporaryFolder() }
  const kept = () =>
    readdirSync(join(cache, 'outrigger')).find(name => name.startsWith('config-') && name.endsWith('.json'))
  const listening = {
    service: 'first',
    outbound: [{ listen: `127.0.0.1:${port}` }],
    discovery: { endpoints: { orders: ['127.0.0.1:9'] } },
  }
  await using first = await startProxy(listening, env)
  await until('that it is kept', kept)
  await first.stop()
  // Tampered with by its owner: the only way to see from outside where it came from.
  const path = join(cache, 'outrigger', kept()!)
  writeFileSync(path, readFileSync(path, 'utf8').replaceAll('"service":"first"', '"service":"other"'))
  await using second = startChild(node, [outrigger, 'proxy', '-c', first.file], env)
  await second.said('that it is ready', out => out.includes('for other: ready'))
})
