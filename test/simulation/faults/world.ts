import { type Cells, ownCells } from '../../../proxy/core/cells.ts'
import { sharedCells } from '../../../proxy/runtime/shared-cells.ts'
import { EventLoop } from '../../support/event-loop.ts'
import { Mesh, nextMicrotasks } from '../../support/mesh.ts'
import { seeded } from '../../support/random.ts'
import { type Asked, Client } from './client.ts'
import { type Arrival, Instance } from './instance.ts'
import {
  type Change,
  endpointsOf,
  type LastChanges,
  RUN_MS,
  type Scenario,
  type ServicePlan,
  scenario,
  snapshotFor,
  subsetOf,
} from './scenario.ts'

/** Room for the directory of names and the cells of a few services. */
const CELL_BYTES = 4 * 1024 ** 2
const STEP_MS = 20
/** Longer than any time limit, ejection and idle connection of a scenario. */
const CALM_MS = 20_000

/** The data threads of one proxy, its services and their callers, and what happened. */
export interface World {
  readonly scenario: Scenario
  readonly meshes: readonly Mesh[]
  readonly arrivals: readonly Arrival[]
  readonly asked: readonly Asked[]
  /** When each service had endpoints that may be used: from `atMs` on. */
  readonly usable: ReadonlyMap<ServicePlan, readonly Usable[]>
}

export interface Usable {
  readonly atMs: number
  readonly any: boolean
  /** In the subset `even`. */
  readonly even: boolean
}

/** Runs a scenario to its end. `look` is called every 20 ms, while there is load. */
export async function run(seed: number, look: (world: World) => void): Promise<World> {
  const plan = scenario(seed)
  const random = seeded(seed + 0x10000)
  const loop = new EventLoop()
  const meshes = cellsOf(plan.threads).map(
    (cells, i) => new Mesh({ seed: seed + i, loop, cells, upstream: plan.wire, downstream: plan.wire }),
  )
  const arrivals: Arrival[] = []
  const changes = new Map<ServicePlan, Change>()
  const instances: Instance[] = []
  const usable = new Map<ServicePlan, Usable[]>()
  await apply(meshes, plan, changes)
  for (const service of plan.services) {
    usable.set(service, [{ atMs: loop.now, any: true, even: true }])
    for (const { address, latencyMs, spells } of service.instances) {
      const instance = new Instance(address, latencyMs, arrivals, loop, random)
      instances.push(instance)
      for (const mesh of meshes) instance.serve(mesh, service.protocol)
      instance.fault = null
      for (const { fault, fromMs, toMs } of spells) {
        loop.after(fromMs, () => (instance.fault = fault))
        if (toMs < RUN_MS) loop.after(toMs, () => (instance.fault = null))
      }
    }
  }
  const clients = plan.services.flatMap(service =>
    meshes.map((mesh, i) => new Client(mesh, service, service.rate / meshes.length, random, `${service.name}${i}`)),
  )
  const world = {
    scenario: plan,
    meshes,
    arrivals,
    usable,
    get asked() {
      return clients.flatMap(({ asked }) => asked)
    },
  }
  const pending = [...plan.changes]
  for (let at = 0; at < RUN_MS; at += STEP_MS) {
    loop.advance(STEP_MS)
    look(world)
    for (; pending.length !== 0 && pending[0]!.atMs <= at; pending.shift()) {
      const change = pending[0]!
      const service = plan.services[change.service]!
      changes.set(service, change)
      const even = change.healths.some((health, i) => health === 'passing' && subsetOf(i) === 'even')
      const any = change.healths.some(health => health === 'passing')
      usable.get(service)!.push({ atMs: loop.now, any, even })
      if (change.how === 'reload') await apply(meshes, plan, changes)
      else await tell(meshes, service, change)
    }
  }
  for (const client of clients) client.isQuiet = true
  // What is stuck has to end by itself, before the faults do.
  loop.advance(CALM_MS)
  for (const instance of instances) instance.calm()
  loop.advance(CALM_MS)
  await apply(meshes, plan, new Map())
  const last = clients.map(client => client.last())
  loop.advance(CALM_MS)
  for (const { id, status, failure } of last)
    if (status !== 200) throw new Error(`after all: ${id}: ${status} ${failure}`)
  for (const mesh of meshes) for (const caller of [...mesh.callers, ...mesh.http2Callers]) caller.close()
  loop.advance(CALM_MS)
  return world
}

function cellsOf(threads: number): Cells[] {
  if (threads === 1) return [ownCells]
  const memory = new SharedArrayBuffer(CELL_BYTES)
  return Array.from({ length: threads }, (_, i) => sharedCells(memory, i, threads))
}

async function apply(meshes: readonly Mesh[], plan: Scenario, changes: LastChanges): Promise<void> {
  const snapshot = snapshotFor(plan, changes)
  for (const mesh of meshes) {
    const reasons = await mesh.apply(structuredClone(snapshot))
    if (reasons.length !== 0) throw new Error(reasons.join('\n'))
  }
}

async function tell(meshes: readonly Mesh[], service: ServicePlan, { healths }: Change): Promise<void> {
  const put = endpointsOf(service, healths)
  const drop = service.instances.flatMap(({ address }, i) => (healths[i] === null ? [address] : []))
  for (const mesh of meshes) mesh.thread.receive({ kind: 'endpoints', service: service.name, delta: { put, drop } })
  await nextMicrotasks()
}
