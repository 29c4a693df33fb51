import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { node, root, run, temporaryFolder } from '../integration/support/child.ts'
import { freePort } from '../integration/support/ports.ts'
import { type RunningProxy, startProxy } from '../integration/support/proxy.ts'
import { tool } from '../peers/find.ts'

const outrigger = (...args: string[]) => run(node, [join(root, 'bin/outrigger.js'), ...args])

describe('the command line', () => {
  test('--help names the commands, has examples and the exit codes', async () => {
    const { code, out, err } = await outrigger('--help')
    expect([code, err]).toEqual([0, ''])
    for (const text of [
      'proxy',
      'config',
      'explain',
      'Examples:',
      'outrigger proxy -c sidecar.yaml',
      'Exit codes:',
      '143',
    ])
      expect(out).toContain(text)
  })

  test('proxy --help tells signals, exit codes and examples', async () => {
    const { code, out } = await outrigger('proxy', '--help')
    expect(code).toBe(0)
    for (const text of ['SIGTERM, SIGINT', 'SIGHUP', 'SIGUSR1', '--log-level', 'Exit codes:', 'Examples:'])
      expect(out).toContain(text)
  })

  test.each([
    [['prox'], /unknown command 'prox'.*Did you mean proxy\?/s],
    [['proxy', '--confg', 'a'], /unknown option '--confg'/],
    [['proxy', '-c'], /argument missing/],
    [['proxy'], /no config file given: name one with -c/],
    [['proxy', '-c', 'a.yaml', '--log-level', 'loud'], /"loud" is not a log level: use one of debug, info/],
    [['proxy', '-c', '-'], /a proxy reads its files again when they change, and standard input cannot be read twice/],
    [['config', 'check', '-', '-'], /- is given twice/],
    [[], /Usage: outrigger/],
  ])('%j exits 2 and says why', async (args, message) => {
    const { code, err } = await outrigger(...args)
    expect([code, err]).toEqual([2, expect.stringMatching(message)])
  })
})

test.each(['-v', '-V', '--version'])('%s prints the version', async flag => {
  expect(await outrigger(flag)).toMatchObject({ code: 0, out: expect.stringMatching(/^\d+\.\d+\.\d+\n$/), err: '' })
})

test('- is standard input, and errors call it so', async () => {
  const piped = (text: string) => run('/bin/sh', ['-c', `printf '${text}' | "${node}" bin/outrigger.js config check -`])
  expect(await piped('outbound: [{ listen: 127.0.0.1:15001 }]')).toMatchObject({
    code: 0,
    out: expect.stringMatching(/^good stdin/),
  })
  expect(await piped('workers: 0')).toMatchObject({
    code: 2,
    err: expect.stringContaining('stdin:1:10: workers: 0 is out of range'),
  })
})

describe('explain', () => {
  let proxy: RunningProxy
  let admin: string
  beforeAll(async () => {
    const port = await freePort()
    proxy = await startProxy({
      outbound: [{ listen: `127.0.0.1:${port}` }],
      discovery: { endpoints: { orders: ['127.0.0.1:9'] } },
    })
    admin = `127.0.0.1:${proxy.adminPort}`
  })
  afterAll(() => proxy.stop())

  test('prints the tree', async () => {
    const { code, out } = await outrigger('explain', 'http://orders/api/1', '-a', admin)
    expect(code).toBe(0)
    expect(out.split('\n')[0]).toBe('GET orders/api/1')
    expect(out).toContain('would be sent to 127.0.0.1:9')
  })

  test('a request that would fail is explained too', async () => {
    const { code, out } = await outrigger('explain', 'http://nix/', '-a', admin, '-X', 'POST', '-H', 'x-a:1')
    expect([code, out]).toEqual([3, expect.stringContaining('404 NR')])
  })

  test('--json is for programs', async () => {
    const { out } = await outrigger('explain', 'http://orders/api/1', '-a', `http://${admin}`, '--json')
    expect(JSON.parse(out)).toMatchObject({ record: { service: 'orders' } })
  })

  test('a question that is wrong exits 2, and nobody there exits 1 with what to check', async () => {
    expect(await outrigger('explain', '/', '-a', admin, '-l', 'nix')).toMatchObject({
      code: 2,
      err: expect.stringContaining('no listener is called "nix"'),
    })
    expect(await outrigger('explain', '/', '-a', '127.0.0.1:9')).toMatchObject({
      code: 1,
      err: expect.stringContaining('no sidecar answers at 127.0.0.1:9'),
    })
  })
})

test('a reader that has seen enough is no error', async () => {
  const file = join(temporaryFolder(), 'sidecar.yaml')
  const services = Array.from({ length: 200 }, (_, i) => `s${i}: {}`)
  writeFileSync(file, `outbound: [{ listen: "127.0.0.1:15001" }]\nservices: { ${services.join(', ')} }\n`)
  const { code, out, err } = await run('/bin/sh', [
    '-c',
    `"${node}" bin/outrigger.js config effective -c "${file}" | "${tool('head')}" -1`,
  ])
  expect([code, out.split('#')[0]!.trim(), err]).toEqual([0, 'service: unnamed', ''])
})
