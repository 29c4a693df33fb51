import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import { describe, expect, test } from 'vitest'
import { planFrom, usualSplit } from '../../examples/demo/mesh/plan.ts'
import { frame, type Size } from '../../examples/demo/view/frame.ts'
import { hintsFor, type Scene } from '../../examples/demo/view/scene.ts'
import { styleFor } from '../../examples/demo/view/style.ts'
import { obtain } from '../peers/obtain.ts'
import { type Child, node, run, startChild, temporaryFolder } from './support/child.ts'
import { exchangeRaw } from './support/raw.ts'
import { until } from './support/until.ts'

const demo = 'examples/demo/main.ts'
/** On a machine that does nothing else it takes half a minute. */
const RUN_MS = 300_000
const READY_MS = 150_000
/** Folders that the demo keeps, or could not remove, go away with the test. */
const env = { TMPDIR: temporaryFolder(), LC_ALL: 'C.UTF-8', NO_COLOR: undefined, FORCE_COLOR: undefined }

/** Where the processes of a running demo listen: read from the files that it shows to its user. */
function adminPorts(child: Child): number[] {
  const folder = /files in (\S+)/.exec(child.out())![1]!
  const files = readdirSync(folder).filter(name => name.endsWith('.yaml'))
  return files.map(name => Number(/^admin: 127\.0\.0\.1:(\d+)$/m.exec(readFileSync(join(folder, name), 'utf8'))![1]))
}

async function nobodyListens(ports: readonly number[]): Promise<void> {
  for (const port of ports) {
    await until(`127.0.0.1:${port} is closed`, () =>
      exchangeRaw(port, 'GET /ready HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n').then(
        () => false,
        () => true,
      ),
    )
  }
}

describe('npm run demo -- --once', () => {
  test(
    'plays every scene without a failed request, and sees traffic move',
    async () => {
      const child = startChild(node, [demo, '--once'], env)
      await child.said('that all is ready', out => out.includes('all ready after'), READY_MS)
      const ports = adminPorts(child)
      expect(ports).toHaveLength(11)
      const { code } = await child.ended
      const out = child.out()
      expect(out, out).toContain('all 11 checks passed')
      expect(code).toBe(0)
      expect(out).toMatch(/✓ no request fails +0 of \d+/)
      expect(out).toMatch(/it answers \d+ requests a second .* the load is \d+ a second/)
      for (const event of [
        'killed orders-2 (kill -9)',
        'brought orders-2 back',
        'slowed stock-1',
        'healed stock-1',
        'edited web-1.yaml',
      ])
        expect(out).toContain(event)
      expect(child.err()).toBe('')
      await nobodyListens(ports)
      expect(existsSync(/files in (\S+)/.exec(out)![1]!)).toBe(false)
    },
    RUN_MS,
  )

  test(
    'shows the same with a real Consul, in which every sidecar registers itself and finds its peers',
    async () => {
      const child = startChild(node, [demo, '--once', '--consul'], {
        ...env,
        PATH: `${dirname(await obtain('consul'))}:${process.env.PATH}`,
      })
      await child.said('that all is ready', out => out.includes('all ready after'), READY_MS)
      const folder = /files in (\S+)/.exec(child.out())![1]!
      const file = readFileSync(join(folder, 'web-1.yaml'), 'utf8')
      expect(file).toContain('consul: { address:')
      expect(file).not.toContain('endpoints:')
      const { code } = await child.ended
      expect(child.out(), child.out()).toContain('all 11 checks passed')
      expect([code, child.err()]).toEqual([0, ''])
      await nobodyListens([Number(/consul: \{ address: "http:\/\/127\.0\.0\.1:(\d+)"/.exec(file)![1])])
    },
    RUN_MS,
  )

  test(
    'shows in a real Jaeger a trace that crosses four services and has a retry in it',
    async () => {
      const picture = join(temporaryFolder(), 'trace.svg')
      const child = startChild(node, [demo, '--once', '--jaeger', '--picture', picture], {
        ...env,
        PATH: `${dirname(await obtain('jaeger'))}:${process.env.PATH}`,
      })
      await child.said('that all is ready', out => out.includes('all ready after'), READY_MS)
      const { code } = await child.ended
      const out = child.out()
      expect(out, out).toContain('all 12 checks passed')
      expect([code, child.err()]).toEqual([0, ''])
      expect(out).toMatch(/a trace with a retry in it: http:\/\/127\.0\.0\.1:\d+\/trace\/[0-9a-f]{32}/)
      expect(out).toMatch(/web +[│├└ ]+attempt 1 at orders-2 +\S+, tried again: /)
      expect(out).toMatch(/web +[│├└ ]+attempt \d at orders-[13] +200/)
      expect(out).toMatch(/prices +[│├└ ]+shop\.Prices\/Get +OK/)
      expect(readFileSync(picture, 'utf8')).toContain('attempt 1 at orders-2')
      await nobodyListens([Number(/http:\/\/127\.0\.0\.1:(\d+)\/trace\//.exec(out)![1])])
    },
    RUN_MS,
  )

  test(
    'fails when requests fail: without retries, those that meet the killed instance do',
    async () => {
      const { code, out } = await run(node, [demo, '--once', '--no-retries'], env)
      expect(code, out).toBe(1)
      expect(out).toMatch(/✗ no request fails +[1-9]\d* of \d+/)
      expect(out).toContain('the last failed request: answered 502')
      expect(out).toContain('connect-refused')
    },
    RUN_MS,
  )
})

describe('the demo', () => {
  test(
    'leaves no process behind when it is killed',
    async () => {
      const child = startChild(node, [demo], env)
      await child.said('that all is ready', out => out.includes('all ready after'), READY_MS)
      const ports = adminPorts(child)
      child.signal('SIGKILL')
      await child.ended
      await nobodyListens(ports)
    },
    RUN_MS,
  )

  test(
    'says which process did not start, what it said last, and what to do',
    async () => {
      const { code, err } = await run(node, [demo, '--once'], { ...env, OUTRIGGER_LOG_LEVEL: 'loud' })
      expect(code).toBe(1)
      expect(err).toMatch(/the sidecar of \S+ ended instead of starting \(exit code 2\)/)
      expect(err).toContain('"loud" is not a log level')
      expect(err).toContain('What to do: ')
    },
    RUN_MS,
  )

  test('refuses options that make no sense together', async () => {
    for (const [options, message] of [
      [['--jaeger', '--no-retries'], '--jaeger and --no-retries exclude each other'],
      [['--picture', 'a.svg'], '--picture shows a trace: write --jaeger too'],
    ] as const) {
      const { code, err } = await run(node, [demo, ...options])
      expect(code).toBe(2)
      expect(err).toContain(message)
    }
  })

  test('refuses options it does not know', async () => {
    const { code, err } = await run(node, [demo, '--onec'])
    expect(code).toBe(2)
    expect(err).toContain('--onec')
    expect(err).toContain('--once')
  })
})

const sizes: readonly Size[] = [
  { columns: 100, rows: 30 },
  { columns: 160, rows: 45 },
  { columns: 80, rows: 24 },
  { columns: 240, rows: 70 },
  { columns: 40, rows: 10 },
]

function scene(): Scene {
  const { instances } = planFrom(23_000)
  const states = [
    { service: 'orders', address: '127.0.0.1:23011', state: 'ejected', ejectedForMs: 5_999, active: 12 },
  ] as const
  const services = ['web', 'orders', 'stock', 'payments'].map(name => ({
    name,
    perSecond: 1234.5,
    total: { requests: 1_000_000, failed: 3 },
    p50Ms: 123.4,
    p99Ms: 12_345,
    p99History: Array.from({ length: 120 }, (_, index) => index),
  }))
  return {
    seconds: 3_725,
    picture: {
      services,
      instances: instances.slice(1).map((instance, index) => ({
        instance,
        isUp: index % 2 === 0,
        states,
        share: 1,
        perSecond: 1000,
        active: 100,
        p50Ms: 9_999,
      })),
      failedAttempts: 123_456,
    },
    split: usualSplit,
    load: { perSecond: 200, sent: 12_345_678, failed: 3, lastFailure: 'answered 502: '.padEnd(500, 'x') },
    retries: false,
    events: Array.from({ length: 40 }, (_, index) => ({
      seconds: index,
      text: 'something happened '.repeat(index % 12),
    })),
    hints: hintsFor({ instances, consul: null, jaeger: null }),
    folder: '/tmp/outrigger-demo-abcdef',
    instead: null,
    keys: 'q quit   k kill one   s slow one   r restore all',
  }
}

describe('the view', () => {
  const coloured = styleFor({ isTTY: true }, { LANG: 'C.UTF-8' })

  test.each(sizes)('fits a terminal of $columns x $rows', size => {
    const lines = frame(scene(), size, coloured).map(line => stripVTControlCharacters(line))
    expect(lines).toHaveLength(size.rows)
    expect(Math.max(...lines.map(line => line.length))).toBeLessThan(size.columns)
  })

  test('at 80 x 24 keeps every column, and its colours', () => {
    const lines = frame(scene(), { columns: 80, rows: 24 }, coloured)
    const text = lines.map(line => stripVTControlCharacters(line))
    for (const heading of ['SUCCESS', 'P99 ', 'CALLS/S ACTIVE      P50', 'SHARE OF CALLS'])
      expect(text.join('\n')).toContain(heading)
    expect(text.find(line => line.includes('payments-3 v2'))).toMatch(/100 %\s+1000\s+100\s+9999 ms$/)
    expect(text.filter(line => line.endsWith('~')).every(line => /something happened|last: /.test(line))).toBe(true)
    expect(lines.filter((line, index) => text[index]!.trim() !== '' && !line.includes('\x1b['))).toEqual([])
  })

  test('says a share of success that agrees with the number of failed requests', () => {
    const failing = { ...scene(), load: { ...scene().load, sent: 1_000, failed: 12 } }
    const services = failing.picture.services.map(service => ({ ...service, total: { requests: 1_000, failed: 0 } }))
    const text = stripVTControlCharacters(
      frame({ ...failing, picture: { ...failing.picture, services } }, sizes[0]!, coloured).join('\n'),
    )
    expect(text).toMatch(/web +\d+ +98\.80 %/)
    expect(text).toContain('12 failed')
  })

  test('at 100 x 30 shows whole lines to paste for every page, and what happened last', () => {
    const text = stripVTControlCharacters(frame(scene(), sizes[0]!, coloured).join('\n'))
    for (const { command } of hintsFor(planFrom(23_000)).slice(0, 5)) expect(text).toContain(command)
    expect(text).toContain('0:39')
  })

  test('has no colours with NO_COLOR, and only ASCII where the terminal has no more', () => {
    const text = frame(scene(), sizes[1]!, styleFor({ isTTY: true }, { NO_COLOR: '1', LANG: 'C' })).join('\n')
    expect(text).toMatch(/^[\n\x20-\x7e]*$/)
  })
})
