import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { loadTexts } from '../../mesh-config/load-snapshot.ts'
import type { ServiceSpec } from '../../mesh-config/snapshot.ts'
import { Mesh } from '../support/mesh.ts'
import { listenerSpec, snapshotOf } from '../support/specs.ts'
import { ok, respond, silent } from '../support/upstream.ts'

/** The example of docs/limits.md, as it stands there. */
async function example(): Promise<ServiceSpec> {
  const page = readFileSync(new URL('../../docs/limits.md', import.meta.url), 'utf8')
  const [, text] = /### A usual example[\s\S]*?```yaml\n([\s\S]*?)```/.exec(page)!
  const outbound = 'outbound: [{ listen: 127.0.0.1:8000, service: payments }]\n'
  const loaded = await loadTexts([{ file: 'sidecar.yaml', text: outbound + text! }], {})
  if (!loaded.ok) throw new Error(JSON.stringify(loaded))
  expect(loaded.warnings).toEqual([])
  return loaded.snapshot.services.payments!
}

test('the example in docs/limits.md does what the page says', async () => {
  const mesh = await Mesh.start(snapshotOf([await example()], [listenerSpec({ service: 'payments' })]))
  const upstream = mesh.upstream('10.0.0.1:8080')
  upstream.answer = silent
  const callers = Array.from({ length: 101 }, () => mesh.caller().get())
  mesh.settle()
  expect(callers.flatMap(({ statuses }) => statuses)).toEqual([503])
  expect(mesh.flight).toMatchObject({ flag: 'UO', detail: '`limits.requests`' })

  mesh.advance(1000)
  expect(callers.flatMap(({ statuses }) => statuses).filter(status => status === 504)).toHaveLength(100)
  expect(mesh.endpoints()[0]!.notes).toContainEqual(expect.stringMatching(/^breaker: open, for [45]\.\d s more$/))

  upstream.answer = ok
  const refused = mesh.caller().get()
  mesh.settle()
  expect(refused.statuses).toEqual([503])
  expect(mesh.flight).toMatchObject({ flag: 'UO', failure: 'breaker-open' })

  mesh.advance(5500)
  const probes = Array.from({ length: 3 }, () => mesh.caller().get())
  mesh.settle()
  expect(probes.flatMap(({ statuses }) => statuses)).toEqual([200, 200, 200])
  upstream.answer = respond('HTTP/1.1 503 Down\r\nContent-Length: 0\r\n\r\n')
  for (let i = 0; i < 25; i++) {
    mesh.caller().get()
    mesh.settle()
  }
  // Twenty are needed; the rest is refused.
  expect(upstream.requests).toHaveLength(100 + 3 + 20)
})
