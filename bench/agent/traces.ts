// What spans cost the agent: `node bench/agent/traces.ts [spans a second] [seconds]`. Twenty senders, as proxies on the
// agent's socket, with spans of the size that a sidecar makes; a collector that takes all of them. Prints a table; it
// asserts nothing.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client, credentials } from '@grpc/grpc-js'
import { encode, type OtlpSpan, spanOf, text } from '../../test/agent/traces/support/otlp.ts'
import { node, root, startChild } from '../../test/integration/support/child.ts'

const PER_SECOND = Number(process.argv[2] ?? 5_000)
const SECONDS = Number(process.argv[3] ?? 20)
const SENDERS = 20
const WARM_UP_MS = 4_000
const TICKS_PER_SECOND = 100
const EXPORT = '/opentelemetry.proto.collector.trace.v1.TraceService/Export'

let taken = 0
let bytes = 0
let requests = 0
const collector = createServer((request, response) => {
  requests++
  request.on('data', (part: Buffer) => {
    bytes += part.length
  })
  request.on('end', () => response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end())
})
await new Promise<void>(done => collector.listen(0, '127.0.0.1', done))

const folder = mkdtempSync(join(tmpdir(), 'outrigger-bench-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
const socket = join(folder, 'agent.sock')
const file = join(folder, 'agent.yaml')
writeFileSync(
  file,
  JSON.stringify({
    listen: `unix:${socket}`,
    state: join(folder, 'state'),
    admin: 'off',
    traces: {
      export: `http://127.0.0.1:${(collector.address() as AddressInfo).port}`,
      grpc: 'off',
      http: 'off',
      spansPerSecond: 0,
    },
  }),
)
const agent = startChild(node, [join(root, 'bin/outrigger.js'), 'agent', '-c', file])
await agent.said('that the agent is ready', out => out.includes('ready on unix:'))

/** As many attributes as a CLIENT span of a sidecar has. */
function realistic(): OtlpSpan {
  return spanOf({
    name: 'GET /orders/*',
    kind: 3,
    startTimeUnixNano: '1764484515000000001',
    endTimeUnixNano: '1764484515025000001',
    attributes: [
      text('http.request.method', 'GET'),
      text('url.path', '/orders/42'),
      text('url.full', 'http://orders/orders/42'),
      text('url.scheme', 'http'),
      text('network.protocol.version', '1.1'),
      { key: 'http.response.status_code', value: { intValue: '200' } },
      text('server.address', '10.0.0.17'),
      { key: 'server.port', value: { intValue: '20000' } },
      text('network.peer.address', '10.0.0.17'),
      text('peer.service', 'orders'),
      text('outrigger.endpoint', '10.0.0.17:20000'),
      text('outrigger.balancer.policy', 'least_request'),
      { key: 'outrigger.balancer.load', value: { doubleValue: 0.5 } },
      text('outrigger.retry', 'no: that was attempt 1 of 2'),
    ],
  })
}

const perRequest = Math.max(1, Math.round(PER_SECOND / SENDERS))
const clients = Array.from({ length: SENDERS }, (_, index) => {
  const spans = Array.from({ length: perRequest }, realistic)
  const attributes = [text('service.name', `service-${index}`), text('service.instance.id', `host-${index}`)]
  const request = encode({ resourceSpans: [{ resource: { attributes }, scopeSpans: [{ spans }] }] })
  return { client: new Client(`unix:${socket}`, credentials.createInsecure()), request }
})
const asItIs = (part: Buffer) => part
let sent = 0
let failed = 0
let due = 0
const began = performance.now()
const timer = setInterval(() => {
  const wanted = Math.floor(((performance.now() - began) / 1000) * SENDERS)
  for (; due < wanted; due++) {
    const { client, request } = clients[due % SENDERS]!
    client.makeUnaryRequest(EXPORT, asItIs, asItIs, request, error => {
      if (error === null) sent += perRequest
      else failed += perRequest
    })
  }
}, 5)

/** CPU seconds of the agent, and its resident MiB. */
function usage(): { cpu: number; rss: number } {
  const stat = readFileSync(`/proc/${agent.pid}/stat`, 'utf8')
  const [user, system] = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .slice(11, 13)
    .map(Number) as [number, number]
  const pages = Number(readFileSync(`/proc/${agent.pid}/statm`, 'utf8').split(' ')[1])
  return { cpu: (user + system) / TICKS_PER_SECOND, rss: (pages * 4096) / 2 ** 20 }
}

await sleep(WARM_UP_MS)
const [before, sentBefore, bytesBefore, from] = [usage(), sent, bytes, performance.now()]
await sleep(SECONDS * 1000)
const [after, seconds] = [usage(), (performance.now() - from) / 1000]
taken = sent - sentBefore
clearInterval(timer)
const rows: [string, string][] = [
  ['spans a second', (taken / seconds).toFixed(0)],
  ['refused', String(failed)],
  ['bytes a span', ((bytes - bytesBefore) / taken).toFixed(0)],
  ['requests to the collector', String(requests)],
  ['CPU of the agent, cores', ((after.cpu - before.cpu) / seconds).toFixed(3)],
  ['CPU a span, microseconds', (((after.cpu - before.cpu) * 1e6) / taken).toFixed(1)],
  ['resident, MiB', after.rss.toFixed(0)],
]
for (const [name, value] of rows) console.log(`${name.padEnd(28)}${value.padStart(8)}`)
for (const { client } of clients) client.close()
agent.signal('SIGKILL')
await agent.ended
process.exit()
