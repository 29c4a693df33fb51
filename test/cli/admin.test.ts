import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { colours } from '../../cli/colours.ts'
import { paint } from '../../cli/paint.ts'
import { node, root, run } from '../integration/support/child.ts'
import { freePort } from '../integration/support/ports.ts'
import { get, type RunningProxy, startProxy } from '../integration/support/proxy.ts'

const outrigger = (...args: string[]) => run(node, [join(root, 'bin/outrigger.js'), ...args])

describe('the commands that ask a running sidecar', () => {
  let proxy: RunningProxy
  let admin: string
  let down: number
  beforeAll(async () => {
    down = await freePort()
    const port = await freePort()
    proxy = await startProxy({
      outbound: [{ listen: `127.0.0.1:${port}` }],
      discovery: { endpoints: { orders: [`127.0.0.1:${down}`], cart: ['127.0.0.1:9', '127.0.0.1:11'] } },
    })
    admin = `127.0.0.1:${proxy.adminPort}`
    await get(port, '/a', { headers: { host: 'orders' } })
  })
  afterAll(() => proxy.stop())

  test('endpoints: all of them, or those of a service', async () => {
    expect((await outrigger('endpoints', '-a', admin)).out).toMatch(/^orders {2}[\s\S]*^cart {2}/m)
    const { code, out } = await outrigger(
      'endpoints',
      'orders',
      '--only',
      'admitting',
      '--sort',
      '-requests',
      '--limit',
      '1',
      '-a',
      admin,
    )
    expect([code, out]).toEqual([0, expect.stringMatching(new RegExp(`^orders {2}[\\s\\S]*127.0.0.1:${down}`))])
    expect(out).not.toContain('cart')
  })

  test('endpoints --json is for programs', async () => {
    expect(JSON.parse((await outrigger('endpoints', 'cart', '--json', '-a', admin)).out)).toMatchObject({
      services: [{ name: 'cart' }],
    })
  })

  test('endpoints eject and admit: one is taken out of use by hand, and put back; the last one takes force', async () => {
    const eject = await outrigger('endpoints', 'eject', 'cart', '127.0.0.1:9', '--for', '10m', '-a', admin)
    expect([eject.code, eject.out]).toEqual([0, '127.0.0.1:9 of cart is ejected for 10m\n'])
    expect((await outrigger('endpoints', 'cart', '-a', admin)).out).toMatch(
      /127\.0\.0\.1:9 .*ejected by an operator for 9m 5\ds more/,
    )
    const last = await outrigger('endpoints', 'eject', 'cart', '127.0.0.1:11', '-a', admin)
    expect([last.code, last.err]).toEqual([
      3,
      expect.stringContaining('127.0.0.1:11 is the last usable endpoint of cart'),
    ])
    expect((await outrigger('endpoints', 'eject', 'cart', '127.0.0.1:11', '--force', '-a', admin)).code).toBe(0)
    for (const address of ['127.0.0.1:9', '127.0.0.1:11'])
      expect((await outrigger('endpoints', 'admit', 'cart', address, '-a', admin)).code).toBe(0)
    expect((await outrigger('endpoints', 'cart', '-a', admin)).out).not.toContain('ejected')
    expect((await outrigger('endpoints', 'admit', 'nix', '127.0.0.1:9', '-a', admin)).code).toBe(3)
    expect((await outrigger('endpoints', 'eject', 'cart', '127.0.0.1:9', '--for', 'long', '-a', admin)).code).toBe(2)
  })

  test('flights: what failed, and with whom', async () => {
    const { code, out } = await outrigger(
      'flights',
      'orders',
      '--failed',
      '--endpoint',
      `127.0.0.1:${down}`,
      '-n',
      '1',
      '-a',
      admin,
    )
    expect([code, out]).toEqual([0, expect.stringMatching(/503 UF .* GET orders\/a[\s\S]*connect-refused/)])
    expect((await outrigger('flights', '--endpoint', '10.0.0.1:1', '-a', admin)).out).toBe('no requests yet\n')
  })

  test('what the sidecar does not take is the fault of the command line', async () => {
    expect(await outrigger('flights', '-n', 'many', '-a', admin)).toMatchObject({
      code: 2,
      out: '',
      err: expect.stringContaining('limit=many'),
    })
    expect(await outrigger('endpoints', '--only', 'odd', '-a', admin)).toMatchObject({
      code: 2,
      err: expect.stringContaining('Allowed choices are usable'),
    })
  })

  test('nobody there, and no address', async () => {
    expect(await outrigger('ready', '-a', `127.0.0.1:${down}`)).toMatchObject({
      code: 1,
      out: '',
      err: expect.stringMatching(/^no sidecar answers at/),
    })
    expect(await outrigger('ready', '-a', 'https://127.0.0.1')).toMatchObject({
      code: 2,
      err: expect.stringContaining('is no address'),
    })
  })

  test('explain: 3 for a request that would fail, and words of the command line for a wrong one', async () => {
    expect(await outrigger('explain', 'orders/a', '-a', admin)).toMatchObject({
      code: 0,
      out: expect.stringContaining('would be sent to'),
    })
    expect(await outrigger('explain', 'nix', '-a', admin)).toMatchObject({
      code: 3,
      out: expect.stringContaining('404 NR'),
    })
    expect(await outrigger('explain', 'nix', '-a', admin, '--json')).toMatchObject({
      code: 3,
      out: expect.stringContaining('"status": 404'),
    })
    const wrong = await outrigger('explain', '%%', '-a', admin)
    expect(wrong).toMatchObject({ code: 2, out: '', err: expect.stringContaining('is neither a URL nor a path') })
    expect(wrong.err).not.toMatch(/url=|\/explain\?/)
    expect(await outrigger('explain', 'orders', '-H', 'nocolon', '-a', admin)).toMatchObject({
      code: 2,
      err: expect.stringContaining('write -H name:value'),
    })
  })

  test('leave: done, and not in time where the answer is waited for', async () => {
    const [inbound, other] = [await freePort(), await freePort()]
    await using leaver = await startProxy({
      inbound: [{ listen: `127.0.0.1:${inbound}`, forward: `127.0.0.1:${other}` }],
      drain: { delay: '1s', timeout: '2s' },
    })
    const at = ['-a', `127.0.0.1:${leaver.adminPort}`]
    expect(await outrigger('leave', ...at)).toMatchObject({ code: 0, out: expect.stringMatching(/^leaving: /) })
    expect((await outrigger('leave', '--wait', '1ms', ...at)).code).toBe(3)
    expect(await outrigger('leave', '--wait', '30s', ...at)).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^left: /),
    })
    expect(await outrigger('leave', '--wait', 'soon', ...at)).toMatchObject({
      code: 2,
      err: expect.stringContaining('--wait soon is no time'),
    })
    expect((await outrigger('ready', ...at)).code).toBe(3)
  })

  test('ready, then drain, then no longer ready', async () => {
    expect(await outrigger('ready', '-a', admin)).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^ready\n {2}ok /),
    })
    expect(await outrigger('drain', '-a', admin, '--json')).toMatchObject({
      code: 0,
      out: expect.stringContaining('"began": true'),
    })
  })
})

test('not ready is exit code 3', async () => {
  const port = await freePort()
  const inbound = { listen: `127.0.0.1:${await freePort()}`, forward: `127.0.0.1:${port}` }
  const proxy = await startProxy({ inbound: [inbound], drain: { delay: '1m' } })
  const admin = `127.0.0.1:${proxy.adminPort}`
  await outrigger('drain', '-a', admin)
  expect(await outrigger('ready', '-a', admin)).toMatchObject({
    code: 3,
    out: expect.stringMatching(/^not ready: .*drain/),
  })
  proxy.signal('SIGKILL')
})

test('ready --wait waits for a sidecar that is not there yet, and no longer than it was told', async () => {
  const admin = `127.0.0.1:${await freePort()}`
  const waiting = outrigger('ready', '--wait', '1m', '-a', admin)
  const proxy = await startProxy({ admin, outbound: [{ listen: `127.0.0.1:${await freePort()}` }] })
  expect(await waiting).toMatchObject({ code: 0, out: expect.stringMatching(/^ready/) })
  await proxy.stop()
  expect(await outrigger('ready', '--wait', '200ms', '-a', admin)).toMatchObject({ code: 1 })
  expect(await outrigger('ready', '--wait', 'soon')).toMatchObject({ code: 2 })
})

describe('colours', () => {
  const on = colours({ isTTY: true, write: () => true }, {})
  const off = colours({ write: () => true }, {})
  /** ESC[31m -> <31> */
  const shown = (text: string) => text.replaceAll(/\u001b\[(\d+)m/g, '<$1>')

  test('only where a terminal is', () => {
    expect(paint('ready\n', 'ready', off)).toBe('ready\n')
    expect(shown(paint('ready\n  ok    a\n  fail  b\n', 'ready', on))).toBe(
      '<32>ready<39>\n  <32>ok<39>    a\n  <31>fail<39>  b\n',
    )
  })

  test('states and statuses, and nothing inside other words', () => {
    expect(shown(paint('  a  admitting\n  b  ejected for 2 s more: admitted\n', 'endpoints', on))).toBe(
      '  a  <32>admitting<39>\n  b  <31>ejected for 2 s more: admitted<39>\n',
    )
    const line = (status: string) => `08:13:34.081  ${status}    10.2 ms  GET a/200`
    expect(shown(paint(line('503 UF'), 'flights', on))).toContain('<31>503 UF<39>')
    expect(shown(paint(line('200 -'), 'flights', on))).toContain('  <32>200 -<39> ')
    expect(shown(paint(line('404 -'), 'flights', on))).toContain('<33>404 -<39>')
  })
})
