import { expect } from 'vitest'
import type { FlightView } from '../../../proxy/core/channel.ts'
import type { Mesh } from '../../support/mesh.ts'
import { expectQuiet } from '../../support/orders.ts'
import type { Asked } from './client.ts'
import type { ServicePlan } from './scenario.ts'
import type { World } from './world.ts'

const TICK_MS = 10
const SECOND_MS = 1000
const BUDGET_SECONDS = 10
/** A stale connection, and a GOAWAY. */
const FREE_TRIES = 2

type Service = ReturnType<Mesh['endpoints']>[number]

/** At any moment, over all data threads. */
export function expectWithinLimits({ scenario, meshes }: World): void {
  const views = meshes.map(mesh => mesh.endpoints())
  for (const { name, policy, protocol } of scenario.services) {
    const services = views.map(view => view.find(service => service.name === name)!)
    const of = (what: string, limit: number, count: (service: Service) => number) =>
      expect(sum(services.map(count)), `${name}: limits.${what}`).toBeLessThanOrEqual(limit)
    of('requests', policy.limits.requests, ({ active }) => active)
    // On HTTP/2 a connection that is being made is for a hundred that wait.
    if (protocol === 'http1') of('pending', policy.limits.pending, ({ endpoints }) => sum(endpoints.map(waiting)))
    for (const { endpoints } of services)
      for (const { active, pending } of endpoints) expect(Math.min(active, pending), name).toBeGreaterThanOrEqual(0)
  }
  for (const { name, policy } of scenario.services) {
    // Also those of endpoints that are gone.
    const open = sum(meshes.map(mesh => mesh.stat('outrigger_upstream_connections', { service: name })))
    expect(open, `${name}: limits.connections`).toBeLessThanOrEqual(policy.limits.connections)
  }
}

/** Those that wait for more than the connection that is being made for them. */
function waiting({ active, pending, idle, connections }: Service['endpoints'][number]): number {
  const dials = connections - idle - (active - pending)
  return Math.max(0, pending - dials)
}

/** When all is over. */
export function expectProven(world: World): void {
  const flights = new Map<string, FlightView[]>()
  for (const flight of world.meshes.flatMap(mesh => mesh.flights())) {
    const id = flight.path.split('/').at(-1)!
    flights.set(id, [...(flights.get(id) ?? []), flight])
  }
  expectAnswered(world, flights)
  expectBodies(world)
  expectTries(world, flights)
  for (const service of world.scenario.services) {
    const own = [...flights.values()].flat().filter(flight => flight.service === service.name)
    expectWithinBudget(service, own)
  }
  for (const mesh of world.meshes) {
    expectQuiet(mesh)
    for (const [name, value] of running(mesh)) expect(value, name).toBe(0)
    for (const { unsent } of mesh.wires) expect(unsent, 'bytes that nobody took').toBe(0)
  }
}

/** Each request has one answer and one record; who gave up has none, or one. */
function expectAnswered({ asked, meshes, usable, scenario }: World, flights: ReadonlyMap<string, FlightView[]>): void {
  for (const request of asked) {
    const { id, isCancelled, answers, isOver, wrong } = request
    expect(wrong, id).toBe('')
    const records = flights.get(id)?.length ?? 0
    if (isCancelled) {
      expect(answers, `answers to ${id}`).toBeLessThanOrEqual(1)
      expect(records, `records of ${id}`).toBeLessThanOrEqual(1)
      continue
    }
    expect([answers, isOver, records], `answers to ${id}, and records of it`).toEqual([1, true, 1])
    expectInTime(request, scenario.wire.latencyMs!)
    if (request.failure === 'no-healthy-upstream') {
      const times = usable.get(request.service)!
      const which = request.isFast && request.service.isDivided ? 'even' : 'any'
      const wasNone = times.some(
        (time, i) =>
          !time[which] &&
          time.atMs <= request.headAt &&
          (times[i + 1]?.atMs ?? Number.POSITIVE_INFINITY) >= request.sentAt,
      )
      expect(wasNone, `${id} had UH, and there were endpoints that may be used`).toBe(true)
    }
  }
  const counted = sum(meshes.map(mesh => mesh.stat('http_requests_total')))
  expect(counted, 'http_requests_total').toBe(sum([...flights.values()].map(({ length }) => length)))
}

/** `timeouts.request` runs from the moment at which the request is whole. */
function expectInTime({ id, service, isFast, size, sentAt, headAt }: Asked, latencyMs: number): void {
  const { requestMs } = (isFast ? service.fast.timeouts : null) ?? service.policy.timeouts
  // A body may have waited for a connection before it was read.
  if (requestMs === 0 || size > 0) return
  expect(headAt - sentAt, `${id}: ms until the answer`).toBeLessThanOrEqual(requestMs + TICK_MS + 2 * latencyMs)
}

function expectBodies({ arrivals, asked }: World): void {
  const byId = new Map(asked.map(request => [request.id, request]))
  for (const { id, method, isIntact } of arrivals) {
    expect(byId.get(id)?.method, `${id} was asked`).toBe(method)
    expect(isIntact, `the body of ${id} as it was sent`).toBe(true)
  }
}

function expectTries({ arrivals, asked }: World, flights: ReadonlyMap<string, FlightView[]>): void {
  const seen = Map.groupBy(arrivals, ({ id }) => id)
  for (const { id, service, isFast, method } of asked) {
    const { attempts } = (isFast ? service.fast.retries : null) ?? service.policy.retries
    const made = flights.get(id)?.[0]?.attempts ?? []
    const counted = made.length - made.filter(isFree).length
    expect(counted, `attempts of ${id}`).toBeLessThanOrEqual(attempts)
    expect(made.length - counted, `free attempts of ${id}`).toBeLessThanOrEqual(FREE_TRIES)
    const times = seen.get(id)?.length ?? 0
    expect(times, `arrivals of ${id}`).toBeLessThanOrEqual(method === 'POST' ? 1 : made.length)
  }
}

/** In each window of whole seconds, as the budget counts. */
function expectWithinBudget({ name, policy }: ServicePlan, flights: readonly FlightView[]): void {
  const { percent, minPerSecond } = policy.retries.budget
  const requests = new Map<number, number>()
  const retries = new Map<number, number>()
  const count = (counts: Map<number, number>, atMs: number) => {
    const second = Math.floor(atMs / SECOND_MS)
    counts.set(second, (counts.get(second) ?? 0) + 1)
  }
  for (const { at, attempts } of flights) {
    if (attempts.length === 0) continue
    const startedAt = Date.parse(at)
    count(requests, startedAt)
    attempts.forEach((attempt, i) => {
      if (i === attempts.length - 1 || isFree(attempt)) return
      count(retries, startedAt + attempt.startedAfterMs + attempt.tookMs)
    })
  }
  for (const second of retries.keys()) {
    const within = (counts: ReadonlyMap<number, number>) =>
      sum(Array.from({ length: BUDGET_SECONDS }, (_, i) => counts.get(second - i) ?? 0))
    const allowed = (within(requests) * percent) / 100 + minPerSecond * BUDGET_SECONDS
    // A fraction of a retry is one.
    expect(within(retries), `${name}: retries within 10 s, ${within(requests)} requests`).toBeLessThan(allowed + 1)
  }
}

function isFree({ retry }: FlightView['attempts'][number]): boolean {
  return /^yes: (an idle connection|the endpoint went away)/.test(retry)
}

/** Gauges of what runs, waits or is held: of every feature that has one. */
function running(mesh: Mesh): [string, number][] {
  const names = new Set(
    mesh.messages.flatMap(message =>
      message.kind === 'series' && message.series.type === 'gauge' ? [message.series.name] : [],
    ),
  )
  return [...names].filter(name => /_(active|pending)$/.test(name)).map(name => [name, mesh.stat(name)])
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
