import { spawn } from 'node:child_process'
import { createServer } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { until } from '../../integration/support/until.ts'
import { obtain } from '../../peers/obtain.ts'
import { run } from '../../peers/shell.ts'
import { startOrigin } from './origin.ts'
import { ask, connectTo } from './support/ask.ts'

/** Other people's programs at the other end. */

const closers: (() => void)[] = []
afterEach(() => {
  for (const close of closers.splice(0)) close()
})

async function origin() {
  const started = await startOrigin()
  closers.push(() => started.close())
  return started
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise(resolve => server.close(resolve))
  return typeof address === 'object' && address !== null ? address.port : 0
}

describe('h2spec', () => {
  test.each([
    ['as it is', []],
    ['strict', ['--strict']],
  ])(
    'all cases pass, %s',
    async (_name, more) => {
      const { port } = await origin()
      const { code, output } = await run(await obtain('h2spec'), [
        '-h',
        '127.0.0.1',
        '-p',
        String(port),
        '-o',
        '5',
        ...more,
      ])
      expect(output.split('\n').filter(line => line.includes('×'))).toEqual([])
      expect(output).toMatch(/14[56] tests, 14[56] passed, 0 skipped, 0 failed/)
      expect(code).toBe(0)
    },
    300_000,
  )
})

test('h2load: many connections and streams, bodies both ways, not one request fails', async () => {
  const { port } = await origin()
  const h2load = await obtain('h2load')
  for (const args of [
    ['-c', '8', '-m', '32', '-n', '20000', `http://127.0.0.1:${port}/`],
    ['-c', '20', '-m', '4', '-n', '400', '-w', '16', `http://127.0.0.1:${port}/bytes/300000`],
    ['-c', '4', '-m', '8', '-n', '400', '-d', h2load, `http://127.0.0.1:${port}/`],
  ]) {
    const { output } = await run(h2load, args)
    const count = args[args.indexOf('-n') + 1]!
    expect(output).toMatch(new RegExp(`${count} done, ${count} succeeded, 0 failed, 0 errored, 0 timeout`))
  }
}, 300_000)

test('nghttpd answers: small and large, one connection, many streams', async () => {
  const port = await freePort()
  const child = spawn(
    await obtain('nghttpd'),
    ['--no-tls', '--address', '127.0.0.1', '-d', import.meta.dirname, String(port)],
    { stdio: 'ignore' },
  )
  closers.push(() => child.kill('SIGKILL'))
  const endpoint = await until('nghttpd listens', () => connectTo(port).catch(() => null))
  closers.push(() => endpoint.connection.destroy())
  const got = await Promise.all(
    Array.from({ length: 60 }, (_, i) =>
      ask(endpoint.connection, { path: i % 3 === 0 ? '/nothing' : '/tools.test.ts' }),
    ),
  )
  expect(got.map(({ status }) => status)).toEqual(Array.from({ length: 60 }, (_, i) => (i % 3 === 0 ? 404 : 200)))
  expect(new Set(got.filter(({ status }) => status === 200).map(({ body }) => body.length)).size).toBe(1)
})
