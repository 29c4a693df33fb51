import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { get } from '../../support/get.ts'
import { type PortBlock, reservePorts } from '../../support/port-block.ts'
import type { Running } from '../../support/processes.ts'
import { pricesAt } from '../services/prices-client.ts'
import { startConsul } from './consul.ts'
import { type RunningInstance, startInstance, whenReady } from './instance.ts'
import { type Instance, instanceNamed, type Plan, planFrom, portOffsets, services, usualSplit } from './plan.ts'
import { type Split, sidecarFile, withSplit } from './sidecar-file.ts'
import { agentSocket, startTracing, type Tracing } from './tracing.ts'

export interface MeshOptions {
  readonly retries: boolean
  /** The binary of Consul; null: the sidecar files list who there is. */
  readonly consul: string | null
  /** The binary of Jaeger; null: no spans are made. */
  readonly jaeger: string | null
  /** A process ended that nobody had asked to. */
  readonly onUnexpectedEnd: (text: string) => void
}

/** The running mesh, and what can be done to it. */
export interface Mesh {
  readonly plan: Plan
  /** Sidecar files and logs. */
  readonly folder: string
  /** Rejects with a text for the user. */
  start(onReady: (ready: number, of: number) => void): Promise<void>
  /** kill -9 of both processes of an instance. */
  kill(name: string): void
  bringBack(name: string): Promise<void>
  slow(name: string, ms: number): Promise<void>
  /** Edits the sidecar file of web-1. */
  split(split: Split): void
  isDown(name: string): boolean
  slowMs(name: string): number
  currentSplit(): Split
  /** For whoever wants to know why: the folder outlives the demo. */
  keepFiles(): void
  stop(): Promise<void>
}

const STOP_PATIENCE_MS = 3_000

export async function createMesh({ retries, consul, jaeger, onUnexpectedEnd }: MeshOptions): Promise<Mesh> {
  const ports: PortBlock = await reservePorts(portOffsets)
  const plan = planFrom(ports.base, { consul: consul !== null, jaeger: jaeger !== null })
  const folder = mkdtempSync(join(tmpdir(), 'outrigger-demo-'))
  process.on('exit', () => {
    if (!keepFiles) rmSync(folder, { recursive: true, force: true })
  })
  const running = new Map<string, RunningInstance>()
  const slowed = new Map<string, number>()
  let split: Split = usualSplit
  let registry: Running | null = null
  let tracing: Tracing | null = null
  let stopping = false
  let keepFiles = false

  const agent = jaeger === null ? null : agentSocket(folder)
  const yamlOf = (name: string) => join(folder, `${name}.yaml`)
  for (const instance of plan.instances)
    writeFileSync(yamlOf(instance.name), sidecarFile(plan, instance, { retries, split, folder, agent }))

  function startOne(instance: Instance): RunningInstance {
    const started: RunningInstance = startInstance(folder, instance, text => {
      // Those that are to end are taken out of the map first.
      if (running.get(instance.name) !== started) return
      kill(instance.name)
      onUnexpectedEnd(text)
    })
    running.set(instance.name, started)
    return started
  }

  function kill(name: string): void {
    const killed = running.get(name)
    if (killed === undefined) return
    running.delete(name)
    slowed.delete(name)
    // The sidecar first: it must not live to answer for an application that is gone.
    killed.sidecar.signal('SIGKILL')
    killed.app.signal('SIGKILL')
  }

  return {
    plan,
    folder,
    async start(onReady) {
      let ready = 0
      const { instances } = plan
      onReady(0, instances.length)
      const onEnd = (text: string) => void (stopping || onUnexpectedEnd(text))
      if (consul !== null) registry = await startConsul(consul, folder, plan.consul!, onEnd)
      if (jaeger !== null) tracing = await startTracing(jaeger, folder, agent!, plan.jaeger!, onEnd)
      await Promise.all(
        instances.map(async instance => {
          await whenReady(startOne(instance))
          onReady(++ready, instances.length)
        }),
      )
    },
    kill,
    async bringBack(name) {
      if (!stopping && !running.has(name)) await whenReady(startOne(instanceNamed(plan, name)))
    },
    async slow(name, ms) {
      if (ms === 0) slowed.delete(name)
      else slowed.set(name, ms)
      const { ports, service } = instanceNamed(plan, name)
      if (services[service]!.protocol === 'grpc') await pricesAt(ports.app, 'prices')('Slow', { milliseconds: ms })
      else await get(ports.app, `/slow?ms=${ms}`, { method: 'POST' })
    },
    split(wanted) {
      split = wanted
      const file = yamlOf('web-1')
      // As editors save: whoever reads it sees the old file or the new one.
      writeFileSync(`${file}.new`, withSplit(readFileSync(file, 'utf8'), wanted))
      renameSync(`${file}.new`, file)
    },
    keepFiles() {
      keepFiles = true
    },
    isDown: name => !running.has(name),
    slowMs: name => slowed.get(name) ?? 0,
    currentSplit: () => split,
    async stop() {
      stopping = true
      const all = [...running.values()]
      running.clear()
      await Promise.all(all.flatMap(({ app, sidecar }) => [sidecar.stop(STOP_PATIENCE_MS), app.stop(STOP_PATIENCE_MS)]))
      await tracing?.agent.stop(STOP_PATIENCE_MS)
      // Asked to, it takes ten seconds; what it has is in memory.
      await tracing?.jaeger.stop(0)
      await registry?.stop(STOP_PATIENCE_MS)
      ports.release()
    },
  }
}
