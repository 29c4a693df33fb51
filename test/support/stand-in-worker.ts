import { parentPort, workerData } from 'node:worker_threads'
import type { Snapshot } from '../../mesh-config/snapshot.ts'
import type { Question, ToControl, ToData, VirtualAddressEntry, WorkerData } from '../../proxy/core/channel.ts'
import { PAGE_SLOTS } from '../../proxy/core/slots.ts'

/**
 * Speaks the channel as a data thread does, and misbehaves when told to: by the version of a snapshot (`refused`,
 * `refused-by-1`, `crashes`, `silent`) or the service of the snapshot it is started with (`crashes-at-start`), or by
 * the URL of an explanation (`/crash`, `/exit`, `/hang`).
 */
const { index, snapshot: first, shared, virtualAddresses } = workerData as WorkerData
const port = parentPort!
const send = (message: ToControl) => port.postMessage(message)
let version = ''

if (first.service === 'crashes-at-start') throw new Error('cannot even start')
const memory = new SharedArrayBuffer(PAGE_SLOTS * 8)
const slots = new Float64Array(memory)
send({ kind: 'page', page: 0, memory })
send({
  kind: 'series',
  id: 0,
  series: { name: 'questions_total', help: 'Questions', type: 'counter', labels: {}, page: 0, index: 0 },
})
if (virtualAddresses.length > 0)
  send({ kind: 'log', lines: `started with ${virtualAddresses.join(' ')}\n`, dropped: 0 })
apply(first)

port.on('message', (message: ToData) => {
  if (message.kind === 'snapshot') apply(message.snapshot)
  else if (message.kind === 'ask') answer(message.id, message.question)
  else if (message.kind === 'log-credit') send({ kind: 'log', lines: `credit ${message.bytes}\n`, dropped: 0 })
  else if (message.kind === 'endpoints') send({ kind: 'log', lines: `endpoints ${message.service}\n`, dropped: 0 })
  else if (message.kind === 'origins')
    send({ kind: 'log', lines: `origins ${JSON.stringify(message.zones)}\n`, dropped: 0 })
  else if (message.kind === 'virtual-addresses') know(message.id, message.put)
  else if (message.kind === 'drain' && message.side === 'inbound') drainInbound(message.delayMs)
  else send({ kind: 'drained', side: message.kind === 'drain' ? message.side : 'all', cut: index + 1 })
})

function drainInbound(delayMs: number): void {
  send({ kind: 'log', lines: `drains inbound after ${delayMs}\n`, dropped: 0 })
  send({ kind: 'drained', side: 'inbound', cut: 0 })
}

/** One address for a service called `silent` gets no answer. */
function know(id: number, put: readonly VirtualAddressEntry[]): void {
  send({ kind: 'log', lines: `addresses ${put.map(entry => entry.join('=')).join(' ')}\n`, dropped: 0 })
  if (!put.some(([, service]) => service === 'silent')) send({ kind: 'addresses-known', id })
}

function apply(snapshot: Snapshot): void {
  if (snapshot.version === 'crashes') throw new Error('broken invariant')
  if (snapshot.version === 'silent') return
  const refused = snapshot.version === 'refused' || snapshot.version === `refused-by-${index}`
  if (refused) return send({ kind: 'nack', version: snapshot.version, reasons: ['the port is taken'] })
  version = snapshot.version
  send({ kind: 'ack', version, listeners: [`${shared ? 'shared' : 'own'} ${version}`] })
}

/** It reports the snapshot it runs on as the name of a service. */
function answer(id: number, question: Question): void {
  slots[0]!++
  const url = question.what === 'explain' ? question.url : ''
  if (url === '/crash') throw new Error('broken invariant')
  if (url === '/exit') process.exit(7)
  if (url !== '/hang')
    send({
      kind: 'answer',
      id,
      answer: { services: [{ name: version, policy: String(index), active: 0, limits: [], notes: [], endpoints: [] }] },
    })
}
