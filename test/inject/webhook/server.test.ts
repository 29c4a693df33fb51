import { once } from 'node:events'
import { Agent, request } from 'node:https'
import { connect } from 'node:tls'
import { expect, onTestFinished, test } from 'vitest'
import { checkFile } from '../../../inject/check-file.ts'
import { type Json, mapOf } from '../../../inject/shape.ts'
import { newCounts } from '../../../inject/webhook/counts.ts'
import { type Held, rotated, usualLifetimes } from '../../../inject/webhook/rotation.ts'
import { contextOf, listen, probeServer, webhookServer } from '../../../inject/webhook/server.ts'
import { injectOptions } from '../support/options.ts'

const names = ['injector.test', '127.0.0.1']

async function started() {
  const held = rotated(null, names, Date.now(), usualLifetimes)
  const counts = newCounts()
  const failures: string[] = []
  const server = webhookServer(held, {
    counts,
    options: () => ({ ...injectOptions(), by: 'injector', excluded: new Set(), checkFile }),
    failed: message => failures.push(message),
  })
  const port = await listen(server, { address: '127.0.0.1', port: 0 })
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return { held, counts, failures, server, port }
}

interface Answer {
  readonly status: number
  readonly body: string
}

async function post(port: number, held: Held, body: string, path = '/mutate', method = 'POST'): Promise<Answer> {
  const agent = new Agent({ ca: held.authorities, servername: names[0]! })
  const asked = request({ host: '127.0.0.1', port, path, method, agent })
  asked.end(body)
  const [response] = await once(asked, 'response')
  let text = ''
  for await (const chunk of response) text += chunk
  agent.destroy()
  return { status: response.statusCode, body: text }
}

const review = (object: Json) =>
  JSON.stringify({
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    request: { uid: 'u', kind: { kind: 'Pod' }, operation: 'CREATE', namespace: 'shop', object },
  })
const pod: Json = { metadata: { name: 'a', labels: { app: 'a' } }, spec: { containers: [{ name: 'a', image: 'b' }] } }

test('a caller that trusts the authority gets a patch', async () => {
  const { port, held, counts } = await started()
  const { status, body } = await post(port, held, review(pod))
  expect(status).toBe(200)
  expect(mapOf(mapOf(JSON.parse(body)).response)).toMatchObject({ uid: 'u', allowed: true, patchType: 'JSONPatch' })
  expect(counts.text(0)).toContain('outrigger_injector_reviews_total{result="injected"} 1\n')
})

test('what is no review is refused, and a review with it does not suffer', async () => {
  const { port, held } = await started()
  const large = `{"a":"${'x'.repeat(5 * 1024 ** 2)}"}`
  expect(await post(port, held, 'no JSON')).toMatchObject({ status: 400 })
  expect(await post(port, held, '{}')).toMatchObject({ status: 400 })
  expect(await post(port, held, '{}', '/other')).toMatchObject({ status: 404 })
  expect(await post(port, held, '', '/mutate', 'GET')).toMatchObject({ status: 405 })
  // It is answered before all of it has come: the caller may only see that the connection is gone.
  const refused = await post(port, held, large).catch((error: NodeJS.ErrnoException) => error.code)
  expect(refused === 'EPIPE' || refused === 'ECONNRESET' || (refused as Answer).status === 413).toBe(true)
  // Bad neighbours: one sends half a review, one no TLS, and both stay.
  const slow = connect({ host: '127.0.0.1', port, ca: held.authorities, servername: names[0]! })
  slow.write('POST /mutate HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n{"half')
  slow.on('error', () => {})
  onTestFinished(() => void slow.destroy())
  const deep = `${'['.repeat(100_000)}`
  expect(await post(port, held, deep)).toMatchObject({ status: 400 })
  expect(await post(port, held, review(pod))).toMatchObject({ status: 200 })
})

test('a new certificate is served to new connections, and old ones go on', async () => {
  const { port, held, server } = await started()
  const old = connect({ host: '127.0.0.1', port, ca: held.authorities, servername: names[0]! })
  await once(old, 'secureConnect')
  const next = rotated(null, names, Date.now(), usualLifetimes)
  server.setSecureContext({ ...contextOf(next), minVersion: 'TLSv1.2' })
  expect(await post(port, next, review(pod))).toMatchObject({ status: 200 })
  await expect(post(port, held, review(pod))).rejects.toThrow(/certificate|signature/)
  const text = review(pod)
  old.write(`POST /mutate HTTP/1.1\r\nhost: x\r\ncontent-length: ${Buffer.byteLength(text)}\r\n\r\n${text}`)
  const [answer] = (await once(old, 'data')) as [Buffer]
  expect(answer.toString('latin1')).toMatch(/^HTTP\/1\.1 200 /)
  old.destroy()
})

test('the probes port tells whether it is ready, and why not', async () => {
  let reasons = ['there is no certificate yet']
  const server = probeServer({ ready: () => reasons, metrics: () => 'a 1\n' })
  const port = await listen(server, { address: '127.0.0.1', port: 0 })
  onTestFinished(() => void server.close())
  const ask = async (path: string) => {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`)
    return [answer.status, await answer.text()]
  }
  expect(await ask('/readyz')).toEqual([503, 'not ready: there is no certificate yet\n'])
  reasons = []
  expect(await ask('/readyz')).toEqual([200, 'ready\n'])
  expect(await ask('/healthz')).toEqual([200, 'alive\n'])
  expect(await ask('/metrics')).toEqual([200, 'a 1\n'])
  expect((await ask('/config'))[0]).toBe(404)
})
