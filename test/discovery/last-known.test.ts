import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { EndpointSpec } from '../../mesh-config/snapshot.ts'
import { lastKnown } from '../../proxy/discovery/last-known.ts'
import { formatSaved, parseSaved, type Saved } from '../../proxy/discovery/saved-endpoints.ts'
import { node, startChild, temporaryFolder } from '../integration/support/child.ts'
import { until } from '../integration/support/until.ts'
import { manualClock } from '../support/clock.ts'
import { EventLoop } from '../support/event-loop.ts'
import { logTape } from '../support/log-tape.ts'
import '../support/seed.ts'
import { endpointSpec } from '../support/specs.ts'
import { anyEndpoint } from './support/any-endpoint.ts'

const FILE = 'last-known.json'
const some = [
  endpointSpec('10.0.0.1:80', { zone: 'a', metadata: { version: 'v1' } }),
  endpointSpec('x:80', { address: '::1', health: 'critical', healthReason: 'x' }),
]
const others = [endpointSpec('10.0.0.9:80')]

function open(folder: string) {
  const loop = new EventLoop()
  const log = logTape()
  return { loop, log, ...lastKnown({ folder, clock: manualClock(loop), log }) }
}

/** The disk is real, and takes its time. */
const saves = (opened: ReturnType<typeof open>, count: number) =>
  until(`${count} saves`, () => opened.status().saves + opened.status().failures === count)

test('what one process knew, the next knows', async () => {
  const folder = join(temporaryFolder(), 'a', 'b')
  const before = open(folder)
  expect(before.get('orders', 'consul')).toBe(null)
  before.put('orders', 'consul', some)
  before.put('orders', 'dns', others)
  before.put('stock', 'consul', [])
  before.loop.advance(60_000)
  await saves(before, 1)
  const after = open(folder)
  expect(after.get('orders', 'consul')).toEqual({ endpoints: some, savedAt: Date.UTC(2026, 0, 1) + 1_000_000 })
  expect(after.get('orders', 'dns')?.endpoints).toEqual(others)
  // That there is nothing needs no memory.
  expect(after.get('stock', 'consul')).toBeNull()
  expect(after.get('stock', 'dns')).toBe(null)
  expect(before.log.lines()).toEqual([])
})

test('only the owner may read it, also when the folder is new', async () => {
  const folder = join(temporaryFolder(), 'new')
  const opened = open(folder)
  opened.put('orders', 'consul', some)
  await opened.flush()
  expect(statSync(folder).mode & 0o777).toBe(0o700)
  expect(statSync(join(folder, FILE)).mode & 0o777).toBe(0o600)
  expect(readdirSync(folder)).toEqual([FILE])
})

test('changes are gathered: a second after the first of them, then every five seconds at most', async () => {
  const folder = temporaryFolder()
  const opened = open(folder)
  const put = (weight: number) => opened.put('orders', 'consul', [endpointSpec('10.0.0.1:80', { weight })])
  const saved = () => open(folder).get('orders', 'consul')?.endpoints[0]?.weight
  for (let weight = 1; weight <= 100; weight++) {
    put(weight)
    opened.loop.advance(9)
  }
  put(101)
  opened.loop.advance(110)
  await saves(opened, 1)
  expect(saved()).toBe(101)
  put(102)
  opened.loop.advance(4_800)
  put(103)
  opened.loop.advance(300)
  await saves(opened, 2)
  expect(saved()).toBe(103)
})

test('what is only confirmed is written now and then, for its age', async () => {
  const folder = temporaryFolder()
  const opened = open(folder)
  opened.put('orders', 'consul', some)
  opened.loop.advance(1_100)
  await saves(opened, 1)
  for (let minute = 0; minute < 9; minute++) {
    opened.loop.advance(60_000)
    opened.put('orders', 'consul', structuredClone(some))
  }
  await new Promise(setImmediate)
  expect(opened.status().saves).toBe(1)
  opened.loop.advance(60_000)
  opened.put('orders', 'consul', structuredClone(some))
  opened.loop.advance(1_100)
  await saves(opened, 2)
  // And at the end in any case.
  opened.loop.advance(30_000)
  opened.put('orders', 'consul', structuredClone(some))
  await opened.flush()
  expect(open(folder).get('orders', 'consul')!.savedAt).toBe(Date.UTC(2026, 0, 1) + opened.loop.now)
})

test('a flush waits for the save that is under way, and saves what came since', async () => {
  const folder = temporaryFolder()
  const opened = open(folder)
  opened.put('orders', 'consul', some)
  opened.loop.advance(1_100)
  opened.put('orders', 'consul', others)
  await opened.flush()
  expect(open(folder).get('orders', 'consul')?.endpoints).toEqual(others)
})

test('a service nobody has watched for a month is forgotten', async () => {
  const folder = temporaryFolder()
  const opened = open(folder)
  opened.put('orders', 'consul', some)
  opened.loop.advance(31 * 24 * 3_600_000)
  opened.put('stock', 'consul', others)
  await opened.flush()
  const after = open(folder)
  expect([after.get('orders', 'consul'), after.get('stock', 'consul')?.endpoints]).toEqual([null, others])
})

test('without a folder nothing is kept', async () => {
  const loop = new EventLoop()
  const opened = lastKnown({ folder: null, clock: manualClock(loop), log: logTape() })
  opened.put('orders', 'consul', some)
  loop.advance(60_000)
  await opened.flush()
  expect(opened.get('orders', 'consul')).toBe(null)
  expect(opened.status()).toEqual({ trouble: '', saves: 0, failures: 0 })
})

describe('files that cannot be used', () => {
  const good = { version: 1, savedAt: 1, services: { orders: { consul: { endpoints: some, savedAt: 1 } } } }
  const withEndpoint = (change: object) => ({
    ...good,
    services: { orders: { consul: { endpoints: [{ ...some[0], ...change }], savedAt: 1 } } },
  })
  const text = JSON.stringify(good)
  const cases: Record<string, [string, string]> = {
    empty: ['', 'it is no JSON'],
    'cut off': [text.slice(0, -20), 'it is no JSON'],
    'binary rubbish': ['\u0000\u0001\ufffd', 'it is no JSON'],
    'a list': ['[]', 'it is no JSON object'],
    'of the future': [JSON.stringify({ ...good, version: 2 }), 'it is of version 2, and this program reads 1'],
    'without services': [JSON.stringify({ version: 1 }), 'it has no services'],
    'with a service that is none': [JSON.stringify({ version: 1, services: { orders: [] } }), 'orders has no sources'],
    'with an address that is none': [
      JSON.stringify(withEndpoint({ address: 'a b' })),
      'orders: what it has of consul is not a list of endpoints',
    ],
    'with a port that is none': [
      JSON.stringify(withEndpoint({ port: 70_000 })),
      'orders: what it has of consul is not a list of endpoints',
    ],
    'with a weight that is none': [
      JSON.stringify(withEndpoint({ weight: 0 })),
      'orders: what it has of consul is not a list of endpoints',
    ],
    'with a health that is none': [
      JSON.stringify(withEndpoint({ health: 'toString' })),
      'orders: what it has of consul is not a list of endpoints',
    ],
    'with metadata that are none': [
      JSON.stringify(withEndpoint({ metadata: { a: 1 } })),
      'orders: what it has of consul is not a list of endpoints',
    ],
  }

  test.each(Object.entries(cases))(
    '%s: said once, kept aside, and the next save is a good one',
    async (_name, [content, why]) => {
      const folder = temporaryFolder()
      writeFileSync(join(folder, FILE), content)
      const opened = open(folder)
      expect(opened.log.lines()).toEqual([`warn ${join(folder, FILE)} is not used: ${why}; it is kept as ${FILE}.bad`])
      expect(opened.get('orders', 'consul')).toBe(null)
      expect(readFileSync(join(folder, `${FILE}.bad`), 'utf8')).toBe(content)
      opened.put('orders', 'consul', others)
      await opened.flush()
      const after = open(folder)
      expect(after.get('orders', 'consul')?.endpoints).toEqual(others)
      expect(after.log.lines()).toEqual([])
    },
  )

  test('the same with nothing wrong is read', () => {
    const folder = temporaryFolder()
    writeFileSync(join(folder, FILE), text)
    const opened = open(folder)
    expect(opened.get('orders', 'consul')).toEqual({ endpoints: some, savedAt: 1 })
    expect(opened.log.lines()).toEqual([])
  })

  test('one of enormous size is not even read', () => {
    const folder = temporaryFolder()
    writeFileSync(join(folder, FILE), Buffer.alloc(33 * 1024 * 1024, ' '))
    expect(open(folder).log.lines()).toEqual([
      `warn ${join(folder, FILE)} is not used: it is larger than 32 MiB; it is kept as ${FILE}.bad`,
    ])
  })

  test('one that is no file is said once', () => {
    const folder = temporaryFolder()
    mkdirSync(join(folder, FILE))
    expect(open(folder).log.lines()).toEqual([
      `warn ${join(folder, FILE)} is not used: it is a folder; it is kept as ${FILE}.bad`,
    ])
  })

  test('any text: endpoints or a reason, never an exception', () => {
    const json = fc.json({ maxDepth: 5 })
    const almost = fc
      .tuple(
        fc.constantFrom(...text.matchAll(/"[^"]*"|\d+|[[\]{}]/g)),
        fc.constantFrom('null', '"x"', '0', '{}', '[]', '-1', '1e99', '"__proto__"'),
      )
      .map(([at, instead]) => text.slice(0, at.index) + instead + text.slice(at.index + at[0].length))
    fc.assert(
      fc.property(fc.oneof(json, almost, fc.string()), content => {
        const read = parseSaved(content)
        expect(typeof read === 'string' || read instanceof Map).toBe(true)
      }),
      { numRuns: 1_000 },
    )
  })
})

test('any endpoints come back as they were', () => {
  const saved: fc.Arbitrary<Saved> = fc.record({
    endpoints: fc.array(anyEndpoint, { maxLength: 4 }),
    savedAt: fc.nat(),
  })
  const services = fc.dictionary(
    fc.string({ minLength: 1 }),
    fc.dictionary(fc.string(), saved, { minKeys: 1, maxKeys: 3 }),
    { maxKeys: 4 },
  )
  fc.assert(
    fc.property(services, all => {
      const map = new Map(Object.entries(all).map(([name, sources]) => [name, new Map(Object.entries(sources))]))
      const { text, left } = formatSaved(map, 1, 1_000_000)
      expect(left).toBe(0)
      expect(parseSaved(text)).toEqual(map)
    }),
  )
})

test('where there is no room for all, those confirmed last are kept', () => {
  const services = new Map(
    Array.from(
      { length: 50 },
      (_, i) =>
        [`service-${i}`, new Map([['consul', { endpoints: some as EndpointSpec[], savedAt: (i * 37) % 50 }]])] as const,
    ),
  )
  const { text, left } = formatSaved(services, 1, 5_000)
  expect(Buffer.byteLength(text)).toBeLessThanOrEqual(5_000)
  const kept = [...(parseSaved(text) as Map<string, Map<string, Saved>>).values()].map(
    sources => sources.get('consul')!.savedAt,
  )
  expect(kept).toHaveLength(50 - left)
  expect(left).toBeGreaterThan(0)
  expect(Math.min(...kept)).toBe(left)
})

describe('a disk that cannot be written', () => {
  // A file where the folder should be stops everybody, also root.
  test('is said once, counted, and tried again; and it is said when it can be', async () => {
    const folder = join(temporaryFolder(), 'state')
    writeFileSync(folder, '')
    const opened = open(folder)
    for (let i = 1; i <= 3; i++) {
      opened.put('orders', 'consul', [endpointSpec('10.0.0.1:80', { weight: i })])
      opened.loop.advance(5_100)
      await saves(opened, i)
    }
    expect(opened.status()).toMatchObject({ saves: 0, failures: 3 })
    expect(opened.status().trouble).toContain('EEXIST')
    expect(opened.get('orders', 'consul')?.endpoints[0]?.weight).toBe(3)
    rmSync(folder)
    // Without any change: what failed is still to be done.
    opened.loop.advance(5_100)
    await saves(opened, 4)
    expect(opened.status()).toEqual({ trouble: '', saves: 1, failures: 3 })
    expect(opened.log.lines().map(line => line.split(':')[0])).toEqual([
      expect.stringContaining('warn last-known endpoints cannot be read'),
      'warn last-known endpoints cannot be saved, so a restart without their registry will not know them',
      `info ${join(folder, FILE)} can be written again`,
    ])
  })

  test('a pipe in the place of the file is not waited for', () => {
    const folder = temporaryFolder()
    execFileSync('/usr/bin/mkfifo', [join(folder, FILE)])
    expect(open(folder).log.lines()).toEqual([
      `warn ${join(folder, FILE)} is not used: it is a pipe (FIFO), and only a regular file is read; it is kept as ${FILE}.bad`,
    ])
  })

  test('a folder that another sidecar uses is left to it, and taken when that one has ended', async () => {
    const folder = temporaryFolder()
    let owner = 'pid 7, beside web'
    const loop = new EventLoop()
    const log = logTape()
    const opened = {
      ...lastKnown({ folder, clock: manualClock(loop), log, claim: () => Promise.resolve(owner) }),
      loop,
      log,
    }
    opened.put('orders', 'consul', some)
    opened.loop.advance(1_100)
    await until('a failure', () => opened.status().failures === 1)
    expect(existsSync(join(folder, FILE))).toBe(false)
    expect(opened.status().trouble).toBe(
      `${folder} is used by another sidecar (pid 7, beside web): give each a folder of its own, state: /path, or write state: off`,
    )
    owner = ''
    opened.loop.advance(5_100)
    await until('a save', () => opened.status().saves === 1)
    expect(log.lines().at(-1)).toContain('can be written again')
  })

  test('a link that somebody put in the way is not followed', async () => {
    const folder = temporaryFolder()
    const victim = join(temporaryFolder(), 'victim')
    writeFileSync(victim, 'precious')
    symlinkSync(victim, join(folder, `${FILE}.${process.pid}.new`))
    symlinkSync(victim, join(folder, 'unrelated'))
    const opened = open(folder)
    opened.put('orders', 'consul', some)
    await opened.flush()
    expect(readFileSync(victim, 'utf8')).toBe('precious')
    expect(readdirSync(folder).sort()).toEqual([FILE, 'unrelated'])
  })
})

test('what is there is given new rights when it is replaced', async () => {
  const folder = temporaryFolder()
  writeFileSync(join(folder, FILE), '{}')
  chmodSync(join(folder, FILE), 0o644)
  const opened = open(folder)
  opened.put('orders', 'consul', some)
  await opened.flush()
  expect(statSync(join(folder, FILE)).mode & 0o777).toBe(0o600)
})

test('killed in the middle of a save: the file is the old one or the new one, and what was begun is cleared away', async () => {
  const folder = temporaryFolder()
  let weight = 0
  for (let round = 0; round < 8; round++) {
    const child = startChild(node, [join(import.meta.dirname, 'support/saver.ts'), folder, String(weight + 1)])
    await child.said('its first save', out => out.includes('saved'))
    // Not at once: at a place that differs from round to round.
    await new Promise(resolve => setTimeout(resolve, round * 7))
    child.signal('SIGKILL')
    await child.ended
    expect(child.out()).toBe('saved\n')
    const read = open(folder).get('orders', 'consul')!.endpoints
    expect(read).toHaveLength(2_000)
    expect(new Set(read.map(endpoint => endpoint.weight)).size).toBe(1)
    expect(read[0]!.weight).toBeGreaterThan(weight)
    weight = read[0]!.weight
    expect(existsSync(join(folder, `${FILE}.${child.pid}.new`))).toBe(false)
  }
})
