import type { RetrySpec } from '../../mesh-config/snapshot.ts'
import type { Caller } from './caller.ts'
import { EventLoop } from './event-loop.ts'
import { Mesh } from './mesh.ts'
import type { OpenMessage } from './message-reader.ts'
import { listenerSpec, serviceSpec, snapshotOf } from './specs.ts'
import { type Answer, ok } from './upstream.ts'

const OUTBOUND = 8000
const INBOUND = 20_000
const APPLICATION = '127.0.0.1:80'

export interface TiersOptions {
  readonly retries: Partial<RetrySpec>
  /** What an application passes on of a request, when it calls the next tier for it. */
  readonly passesOn: readonly string[]
  /** Of the service of each tier below the first. */
  readonly instances?: number
  /** Of the last tier. */
  readonly bottom: Answer
}

/**
 * A chain of applications, each with a sidecar of its own: caller -> sidecar 0 -> application 1 -> sidecar 1 ->
 * application 2 ... -> the bottom, which is scripted. Every application answers what the tier below answers, as its own
 * words: fields of it are lost.
 */
export class Tiers {
  readonly loop = new EventLoop()
  readonly sidecars: Mesh[] = []
  /** Requests that the bottom has had. */
  atBottom = 0
  /** When each of them came. */
  readonly times: number[] = []
  bottom: Answer
  readonly #options: TiersOptions
  #asked = 0

  private constructor(options: TiersOptions) {
    this.#options = options
    this.bottom = options.bottom
  }

  /** `count` sidecars that retry, and as many tiers below the caller. */
  static async start(count: number, options: TiersOptions): Promise<Tiers> {
    const tiers = new Tiers(options)
    for (let tier = 0; tier < count; tier++) tiers.sidecars.push(await tiers.#sidecar(tier))
    for (let tier = 0; tier < count; tier++) tiers.#join(tier, count)
    return tiers
  }

  /** The instances of the next tier are addresses of one sidecar: enough for a try elsewhere. */
  #endpoints(): string[] {
    return Array.from({ length: this.#options.instances ?? 3 }, (_, i) => `10.0.0.${i + 1}:${INBOUND}`)
  }

  #sidecar(tier: number): Promise<Mesh> {
    const off = { consecutiveGatewayFailures: 0 }
    return Mesh.start(
      snapshotOf(
        [
          serviceSpec('next', this.#endpoints(), {
            multiplex: false,
            retries: this.#options.retries,
            outliers: off,
          }),
          serviceSpec('local_app', [APPLICATION], {
            multiplex: false,
            retries: { on: [], attempts: 1 },
            timeouts: { requestMs: 0 },
            outliers: off,
          }),
        ],
        [
          listenerSpec({ service: 'next' }),
          listenerSpec({
            direction: 'inbound',
            listen: { address: '127.0.0.1', port: INBOUND },
            service: 'local_app',
          }),
        ],
      ),
      { loop: this.loop, seed: tier + 1 },
    )
  }

  #join(tier: number, count: number): void {
    const own = this.sidecars[tier]!
    for (const endpoint of this.#endpoints()) {
      if (tier + 1 < count) own.upstream(endpoint).serve = wire => this.sidecars[tier + 1]!.take(INBOUND, wire)
      else
        own.upstream(endpoint).answer = (request, connection) => {
          this.atBottom++
          this.times.push(this.loop.now)
          this.bottom(request, connection)
        }
    }
    const application = own.upstream(APPLICATION)
    application.answer = (request, connection) => {
      const caller = this.#call(own, request)
      const wait = (): void => {
        if (connection.wire.destroyed) return caller.close()
        if (caller.responses.length === 0) return void this.loop.after(1, wait)
        const isFine = caller.last.status === 200
        caller.close()
        if (isFine) ok(request, connection)
        else connection.send('HTTP/1.1 503 Sorry\r\nContent-Length: 5\r\n\r\nsorry')
      }
      wait()
    }
  }

  #call(sidecar: Mesh, request: OpenMessage): Caller {
    const fields = this.#options.passesOn.flatMap(name => {
      const value = request.header(name)
      return value === undefined ? [] : [`${name}: ${value}\r\n`]
    })
    return sidecar.caller(OUTBOUND).send(`GET / HTTP/1.1\r\nHost: next\r\n${fields.join('')}\r\n`)
  }

  /** A request of the user. */
  ask(more = ''): Caller {
    const id = (++this.#asked).toString(16).padStart(32, '0')
    return this.sidecars[0]!.caller(OUTBOUND).get('/', `traceparent: 00-${id}-00000000000000aa-00\r\n${more}`)
  }

  /** So many a second for so long; what the callers heard, by status. */
  load(perSecond: number, seconds: number, drainMs = 3000): Map<number, number> {
    const heard = new Map<number, number>()
    const callers: Caller[] = []
    for (let i = 0; i < perSecond * seconds; i++) {
      callers.push(this.ask())
      this.loop.advance(1000 / perSecond)
    }
    this.loop.advance(drainMs)
    for (const caller of callers) {
      const status = caller.statuses[0] ?? 0
      heard.set(status, (heard.get(status) ?? 0) + 1)
      caller.close()
    }
    this.loop.settle()
    return heard
  }
}
