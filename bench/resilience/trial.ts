import { setTimeout as sleep } from 'node:timers/promises'
import { percentile, startLoad } from '../../test/integration/support/load.ts'
import type { Start } from './contestant.ts'
import { startFaulty } from './faulty.ts'
import type { Scenario } from './scenarios.ts'

/** What one proxy made of one scenario. */
export interface Outcome {
  readonly requests: number
  /** Requests that failed for their caller. */
  readonly errors: number
  /** Those among them that were sent after the instance had been ejected. */
  readonly errorsAfterDetection: number
  /** From the beginning of the fault; null: it never was. */
  readonly detectedAfterMs: number | null
  /** Of the good ones, while the fault lasted. */
  readonly p99Ms: number
  /** Requests offered to instances, for each one of a caller. */
  readonly amplification: number
  /** In words, with how often. */
  readonly failures: Readonly<Record<string, number>>
}

const LOOK_MS = 20

export async function trial(scenario: Scenario, start: Start): Promise<Outcome> {
  const { fault, fromMs, toMs, runMs, rate } = scenario
  await using stack = new AsyncDisposableStack()
  const instances = await Promise.all(Array.from({ length: scenario.instances }, startFaulty))
  for (const instance of instances) stack.use(instance)
  const proxy = stack.use(await start(instances.map(({ address }) => address)))
  const faulty = fault === 'idle-close' ? instances : instances.slice(0, 1)

  const seen: { readonly sentAt: number; readonly tookMs: number; readonly failure: string }[] = []
  const load = startLoad({
    port: proxy.port,
    path: '/',
    rate,
    observe: (failure, sentAt, tookMs) => seen.push({ sentAt, tookMs, failure }),
  })
  await sleep(fromMs)
  const beganAt = performance.now()
  await Promise.all(faulty.map(instance => instance.begin(fault)))
  let detectedAt = Number.POSITIVE_INFINITY
  while (performance.now() - beganAt < toMs - fromMs) {
    if (detectedAt === Number.POSITIVE_INFINITY && (await proxy.isEjected(faulty[0]!.address)))
      detectedAt = performance.now()
    await sleep(LOOK_MS)
  }
  const endedAt = performance.now()
  await Promise.all(faulty.map(instance => instance.end(fault)))
  await sleep(runMs - toMs)
  const { sent, failures } = await load.stop()
  const bad = seen.filter(({ failure }) => failure !== '')
  const during = seen.filter(({ failure, sentAt }) => failure === '' && sentAt >= beganAt && sentAt < endedAt)
  return {
    requests: sent,
    errors: bad.length,
    errorsAfterDetection: bad.filter(({ sentAt }) => sentAt > detectedAt).length,
    detectedAfterMs: detectedAt === Number.POSITIVE_INFINITY ? null : Math.round(detectedAt - beganAt),
    p99Ms: percentile(
      during.map(({ tookMs }) => tookMs).sort((a, b) => a - b),
      0.99,
    ),
    amplification: (await proxy.offered()) / sent,
    failures: Object.fromEntries(failures),
  }
}
