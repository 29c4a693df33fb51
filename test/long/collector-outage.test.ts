import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { startAgent } from '../agent/traces/support/agent.ts'
import { application } from '../agent/traces/support/application.ts'
import { startJaeger } from '../integration/support/jaeger.ts'
import { until } from '../integration/support/until.ts'

const OUTAGE_MS = 60_000
const EVERY_MS = 50
const EACH = 20

test('a collector that is away for a minute, under load, loses no span; nor does an agent that is killed meanwhile', async () => {
  await using jaeger = await startJaeger()
  const traces = `export: "grpc://127.0.0.1:${jaeger.ports.grpc}", grpc: 127.0.0.1:0, http: 127.0.0.1:0`
  let agent = await startAgent({ traces })
  let shop = application('shop', 'grpc', agent.grpc)
  let made = 0
  const make = async () => {
    for (let index = 0; index < EACH; index++) shop.tracer.startSpan(`s${made++}`).end()
    await shop.flush()
  }
  await make()
  await until('that Jaeger has the first', async () => (await jaeger.traces('shop', 1_000)).length === EACH)
  await jaeger.kill()
  const killAt = performance.now() + OUTAGE_MS / 2
  const backAt = performance.now() + OUTAGE_MS
  let killed = false
  while (performance.now() < backAt) {
    await make()
    await sleep(EVERY_MS)
    if (killed || performance.now() < killAt) continue
    killed = true
    agent.child.signal('SIGKILL')
    await agent.child.ended
    agent = await startAgent({ traces, folder: agent.folder })
    shop = application('shop', 'grpc', agent.grpc)
  }
  expect(made).toBeGreaterThan(1_000)
  await jaeger.start()
  // What was there before the outage was in the memory of the Jaeger that was killed.
  const wanted = Array.from({ length: made - EACH }, (_, index) => `s${index + EACH}`)
  await until('that Jaeger has all others', async () => {
    const names = new Set(
      (await jaeger.traces('shop', 100_000)).flatMap(({ spans }) => spans.map(span => span.operationName)),
    )
    return wanted.every(name => names.has(name))
  })
  expect(agent.child.err()).toContain('spans are left from before, and are sent first')
})
