import { EventLoop } from '../../support/event-loop.ts'
import { KeptCallers } from '../../support/kept-callers.ts'
import { Mesh } from '../../support/mesh.ts'
import type { OpenMessage } from '../../support/message-reader.ts'
import type { ServiceOverrides } from '../../support/specs.ts'
import { listenerSpec, serviceSpec, snapshotOf } from '../../support/specs.ts'

/**
 * Services that call each other in a row, with a sidecar beside each, and a sidecar beside the caller of the first:
 * whole data threads with connections between them. Each service has two instances; the last one is down.
 */

export interface StormOptions {
  /** Of every sidecar, towards the service it calls. */
  readonly policy: ServiceOverrides
  /** Requests a second at the top. */
  readonly rate: number
  readonly forMs: number
  /** `busy`: every instance answers 503. `gone`: nobody listens. */
  readonly bottom: 'busy' | 'gone'
  /** Applications pass on what ties their calls to the request they are for. */
  readonly passesOn?: boolean
}

export interface Storm {
  readonly asked: number
  /** Requests that were offered to each service, attempts included: the top one first. */
  readonly offered: readonly number[]
  /** Those at the bottom, for each request of the caller. */
  readonly amplification: number
}

const TIERS = 3
const INSTANCES = 2
const INBOUND = 20_000
const APPLICATION = '127.0.0.1:8080'
const STEP_MS = 10

/** Passed on from request to request by an application with @outrigger/propagate, or any that follows the same rule. */
const PASSED_ON = /^(x-outrigger-|x-request-id$|traceparent$|grpc-timeout$)/i

export async function storm({ policy, rate, forMs, bottom, passesOn = true }: StormOptions): Promise<Storm> {
  const loop = new EventLoop()
  const offered = Array.from({ length: TIERS }, () => 0)
  let seed = 1
  /** The sidecar of an instance of `tier` (-1: of the caller), which calls the next one. */
  const start = (tier: number) => {
    const next = tier + 1
    const endpoints = next < TIERS ? Array.from({ length: INSTANCES }, (_, i) => addressOf(next, i)) : []
    return Mesh.start(
      snapshotOf(
        [
          serviceSpec(`tier${next}`, endpoints, policy),
          serviceSpec('local_app', [APPLICATION], {
            multiplex: false,
            retries: { on: [], attempts: 1 },
            timeouts: { requestMs: 0 },
            outliers: { consecutiveGatewayFailures: 0 },
          }),
        ],
        [
          listenerSpec({ service: `tier${next}` }),
          listenerSpec({
            direction: 'inbound',
            listen: { address: '127.0.0.1', port: INBOUND },
            service: 'local_app',
            multiplex: 1,
          }),
        ],
      ),
      { loop, seed: seed++ },
    )
  }
  const top = await start(-1)
  let above = [top]
  for (let tier = 0; tier < TIERS; tier++) {
    const here: Mesh[] = []
    for (let i = 0; i < INSTANCES; i++) {
      const mesh = await start(tier)
      here.push(mesh)
      for (const each of above) each.upstream(addressOf(tier, i)).serve = wire => mesh.take(INBOUND, wire)
      const application = mesh.upstream(APPLICATION)
      const isLast = tier === TIERS - 1
      if (isLast && bottom === 'gone') application.connect = 'refuse'
      const onward = new KeptCallers(mesh)
      application.answer = (request, connection) => {
        if (!isLast) offered[tier]!++
        const answer = (status: number) => {
          if (!connection.over) connection.send(`HTTP/1.1 ${status} Any\r\nContent-Length: 0\r\n\r\n`)
        }
        if (isLast) loop.after(1, () => answer(503))
        else onward.ask(headOf(passesOn ? passedOn(request) : ''), 'GET', { over: got => answer(got?.status ?? 502) })
      }
    }
    above = here
  }
  const bottoms = above.map(mesh => mesh.upstream(APPLICATION))
  const callers = new KeptCallers(top)
  const everyMs = 1000 / rate
  let asked = 0
  for (let at = 0; at < forMs; at += STEP_MS) {
    for (; asked * everyMs <= at; asked++) callers.ask(headOf(''), 'GET', { over() {} })
    loop.advance(STEP_MS)
  }
  loop.advance(30_000)
  // What nobody takes is offered all the same.
  offered[TIERS - 1] = bottoms.reduce(
    (sum, { requests, dials }) => sum + (bottom === 'gone' ? dials : requests.length),
    0,
  )
  return { asked, offered, amplification: offered[TIERS - 1]! / asked }
}

function addressOf(tier: number, instance: number): string {
  return `10.0.${tier}.${instance + 1}:${INBOUND}`
}

function headOf(fields: string): string {
  return `GET / HTTP/1.1\r\nHost: any\r\n${fields}\r\n`
}

function passedOn({ headers }: OpenMessage): string {
  return headers.flatMap(([name, value]) => (PASSED_ON.test(name) ? [`${name}: ${value}\r\n`] : [])).join('')
}
