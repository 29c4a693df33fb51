import { setTimeout as sleep } from 'node:timers/promises'
import { idleConnections, slowReaders } from './connections.ts'
import type { Contestant } from './contestant.ts'
import type { Cores } from './cores.ts'
import { fixedRate } from './fixed-rate.ts'
import { busySeconds, type CpuSeconds, cpuOf, type Memory, memoryOf } from './process-figures.ts'
import {
  IDLE_CONNECTIONS,
  type LoadScenario,
  type MemoryScenario,
  type RateScenario,
  SLOW_READERS,
} from './scenarios.ts'
import { http1 } from './traffic/http1.ts'
import { TRAFFIC } from './traffic/table.ts'
import { NO_BODY } from './traffic/traffic.ts'

/** Named figures of one measurement; the names carry the units. */
export type Figures = Readonly<Record<string, number>>

export interface Durations {
  readonly seconds: number
  /** Load before the measurement, so that compilers, pools and caches are where they will be. */
  readonly warmUpSeconds: number
}

export async function measureLoad(
  contestant: Contestant,
  scenario: Omit<LoadScenario, 'kind' | 'name' | 'title' | 'quick'>,
  time: Durations,
  cores: Cores,
): Promise<Figures> {
  const { connections, streams, path, body, unit } = scenario
  const traffic = TRAFFIC[scenario.traffic]
  await checkAnswer(contestant, scenario)
  const load = { port: contestant.listen, path, connections, streams, body }
  await traffic.load({ ...load, seconds: time.warmUpSeconds })
  const { result, cpu } = await withCpu(contestant, cores, () => traffic.load({ ...load, seconds: time.seconds }))
  if (result.requests === 0) throw new Error('not one request was answered')
  const { failures, perSecond } = result
  return {
    ...perRequest(cpu, result.requests * unit.perRequest),
    requestsPerSecond: perSecond * unit.perRequest,
    failures,
    othersShare: cpu.othersShare,
  }
}

export async function measureRate(
  contestant: Contestant,
  scenario: RateScenario,
  time: Durations,
  cores: Cores,
): Promise<Figures> {
  const { connections, path, perSecond } = scenario
  const load = { port: contestant.listen, path, connections, perSecond }
  await fixedRate({ ...load, seconds: time.warmUpSeconds })
  const { result, cpu } = await withCpu(contestant, cores, () => fixedRate({ ...load, seconds: time.seconds }))
  return { ...perRequest(cpu, result.sent), othersShare: cpu.othersShare, ...result }
}

/** The contestant must be fresh: each stage is measured from a clean start. */
export async function measureMemory(
  contestant: Contestant,
  { stage, traffic }: MemoryScenario,
  time: Durations,
): Promise<Figures> {
  const { listen, child } = contestant
  if (stage === 'connections') {
    const sockets = await idleConnections(listen, IDLE_CONNECTIONS[traffic], traffic)
    await sleep(400)
    const memory = memoryOf(child.pid)
    for (const socket of sockets) socket.destroy()
    return { ...memory }
  }
  if (stage === 'bodies') return await peakWithBodies(contestant, time.seconds)
  if (stage === 'loaded')
    await http1.load({ port: listen, path: '/', body: NO_BODY, connections: 64, streams: 1, seconds: time.seconds })
  return { ...memoryOf(child.pid) }
}

async function peakWithBodies({ listen, child }: Contestant, seconds: number): Promise<Figures> {
  // a body takes each reader two seconds
  const readers = slowReaders(listen, SLOW_READERS, '/1m', 512 * 1024)
  let peak: Memory = { rssMb: 0, anonMb: 0 }
  try {
    for (const endAt = performance.now() + Math.max(2, seconds) * 1000; performance.now() < endAt; await sleep(50)) {
      const now = memoryOf(child.pid)
      if (now.rssMb > peak.rssMb) peak = now
    }
    if (readers.failure !== null) throw readers.failure
  } finally {
    readers.stop()
  }
  return { ...peak, bodies: readers.bodies }
}

async function checkAnswer(
  contestant: Contestant,
  { traffic, path, body, answerBytes }: Pick<LoadScenario, 'traffic' | 'path' | 'body' | 'answerBytes'>,
): Promise<void> {
  const answer = await TRAFFIC[traffic].ask(contestant.listen, { path, body })
  if (answer.status !== 200 || answer.bodyBytes !== answerBytes) {
    throw new Error(
      `${path} is answered ${answer.status} with ${answer.bodyBytes} bytes, should be 200 with ${answerBytes}`,
    )
  }
}

async function withCpu<T>(
  contestant: Contestant,
  cores: Cores,
  work: () => Promise<T>,
): Promise<{ result: T; cpu: CpuSeconds & { othersShare: number } }> {
  const { pid } = contestant.child
  const busyBefore = cores.proxy === null ? 0 : busySeconds(cores.proxy)
  const before = cpuOf(pid)
  const startedAt = performance.now()
  const result = await work()
  const after = cpuOf(pid)
  const elapsed = (performance.now() - startedAt) / 1000
  const busy = cores.proxy === null ? 0 : busySeconds(cores.proxy) - busyBefore
  const cpu = { user: after.user - before.user, system: after.system - before.system }
  return { result, cpu: { ...cpu, othersShare: Math.max(0, (busy - cpu.user - cpu.system) / elapsed) } }
}

function perRequest(cpu: CpuSeconds, requests: number): { cpuUs: number; userUs: number; systemUs: number } {
  const userUs = (cpu.user * 1e6) / requests
  const systemUs = (cpu.system * 1e6) / requests
  return { cpuUs: userUs + systemUs, userUs, systemUs }
}
