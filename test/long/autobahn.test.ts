import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { WebSocketServer } from 'ws'
import { run, temporaryFolder } from '../integration/support/child.ts'
import { freePort } from '../integration/support/ports.ts'
import { type RunningProxy, startProxy } from '../integration/support/proxy.ts'
import { obtain } from '../peers/obtain.ts'

/**
 * Autobahn's WebSocket suite against the server of `ws`: through one sidecar and through two, each case comes out as it
 * does direct.
 */

/** Without those that only compress: a sidecar passes frames on as they are, and they take longer than all others. */
const EXCLUDED = ['12.*', '13.*']
const CASES = 301
const ways = ['direct', 'one sidecar', 'two sidecars'] as const

interface Result {
  readonly behavior: string
  readonly behaviorClose: string
}

/** Messages in 65,536 fragments are among the cases. */
const server = new WebSocketServer({
  port: 0,
  host: '127.0.0.1',
  maxPayload: 64 * 1024 * 1024,
  maxFragments: 0,
  maxBufferedChunks: 0,
})
const proxies: RunningProxy[] = []
const urls = new Map<string, string>()

beforeAll(async () => {
  // What is wrong in a frame closes the connection, which is what the suite looks at.
  server.on('connection', socket =>
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary })).on('error', () => {}),
  )
  if (server.address() === null) await once(server, 'listening')
  const application = `127.0.0.1:${(server.address() as AddressInfo).port}`
  const [between, one, two] = [await freePort(), await freePort(), await freePort()]
  proxies.push(
    await startProxy({ service: 'chat', inbound: [{ listen: `127.0.0.1:${between}`, forward: application }] }),
    await startProxy({
      outbound: [
        { listen: `127.0.0.1:${one}`, service: 'direct' },
        { listen: `127.0.0.1:${two}`, service: 'meshed' },
      ],
      discovery: { endpoints: { direct: [application], meshed: [`127.0.0.1:${between}`] } },
    }),
  )
  for (const [index, address] of [application, `127.0.0.1:${one}`, `127.0.0.1:${two}`].entries())
    urls.set(ways[index]!, `ws://${address}`)
})
afterAll(async () => {
  for (const proxy of proxies) await proxy.stop()
  for (const socket of server.clients) socket.terminate()
  server.close()
})

async function outcomes(way: string): Promise<Record<string, Result>> {
  const folder = temporaryFolder()
  const file = join(folder, 'spec.json')
  const reports = join(folder, 'reports')
  const spec = {
    outdir: reports,
    servers: [{ agent: 'ws', url: urls.get(way) }],
    cases: ['*'],
    'exclude-cases': EXCLUDED,
    'exclude-agent-cases': {},
  }
  writeFileSync(file, JSON.stringify(spec))
  const { code, out, err } = await run(await obtain('wstest'), ['-m', 'fuzzingclient', '-s', file], {}, folder)
  expect(code, `${out}${err}`.slice(-4_000)).toBe(0)
  return (JSON.parse(readFileSync(join(reports, 'index.json'), 'utf8')) as { ws: Record<string, Result> }).ws
}

const shown = (results: Record<string, Result>) =>
  Object.fromEntries(
    Object.entries(results).map(([id, { behavior, behaviorClose }]) => [id, `${behavior}, ${behaviorClose}`]),
  )

test('each case comes out through sidecars as it does direct', async () => {
  const [direct, one, two] = await Promise.all(ways.map(outcomes))
  expect(Object.keys(direct!)).toHaveLength(CASES)
  expect(Object.values(direct!).filter(({ behavior }) => behavior === 'FAILED')).toEqual([])
  expect(shown(one!)).toEqual(shown(direct!))
  expect(shown(two!)).toEqual(shown(direct!))
}, 1_800_000)
