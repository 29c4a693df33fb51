import type { Random } from '../../../proxy/core/clock.ts'
import type { ResponseHead } from '../../../proxy/core/message.ts'
import type { Http2Caller } from '../../support/http2-caller.ts'
import { KeptCallers } from '../../support/kept-callers.ts'
import type { Mesh } from '../../support/mesh.ts'
import { between, pick } from '../../support/random.ts'
import { bodyOf } from '../plan.ts'
import type { ServicePlan } from './scenario.ts'

/** A request, and what its caller saw. */
export interface Asked {
  readonly id: string
  readonly service: ServicePlan
  readonly isFast: boolean
  readonly method: string
  readonly size: number
  readonly sentAt: number
  isCancelled: boolean
  /** Heads of final answers. */
  answers: number
  headAt: number
  status: number
  /** The name of the failure, where the proxy answered itself. */
  failure: string
  /** The answer is whole, or shows that it is not. */
  isOver: boolean
  /** What was wrong with it; empty: nothing. */
  wrong: string
}

const REQUEST_SIZES = [0, 10, 2000, 15_000]

/** The callers of one service at one data thread: they ask at random moments, and some do not wait for the answer. */
export class Client {
  readonly asked: Asked[] = []
  readonly #mesh: Mesh
  readonly #plan: ServicePlan
  readonly #random: Random
  readonly #name: string
  readonly #kept: KeptCallers
  #http2: Http2Caller | null = null
  isQuiet = false

  constructor(mesh: Mesh, plan: ServicePlan, rate: number, random: Random, name: string) {
    this.#mesh = mesh
    this.#plan = plan
    this.#random = random
    this.#name = name
    this.#kept = new KeptCallers(mesh)
    const next = () => {
      if (this.isQuiet) return
      this.#ask()
      mesh.loop.after(Math.round((-Math.log(1 - random()) * 1000) / rate), next)
    }
    mesh.loop.after(between(random, 0, 200), next)
  }

  /** One that nothing can spoil. */
  last(): Asked {
    return this.#send('GET', 0, false)
  }

  #ask(): void {
    const random = this.#random
    const method = pick(random, ['GET', 'GET', 'GET', 'HEAD', 'POST', 'PUT'])
    const size = method === 'GET' || method === 'HEAD' ? 0 : pick(random, REQUEST_SIZES)
    this.#send(method, size, random() < 0.3)
  }

  #send(method: string, size: number, isFast: boolean): Asked {
    const { loop } = this.#mesh
    const id = `${this.#name}-${this.asked.length}`
    const asked: Asked = {
      id,
      service: this.#plan,
      isFast,
      method,
      size,
      sentAt: loop.now,
      isCancelled: false,
      answers: 0,
      headAt: 0,
      status: 0,
      failure: '',
      isOver: false,
      wrong: '',
    }
    this.asked.push(asked)
    const giveUp = this.#plan.callers === 'http1' ? this.#http1(asked) : this.#overHttp2(asked)
    const isImpatient = !this.isQuiet && this.#plan.cancelled > 0 && this.#random() < 1 / this.#plan.cancelled
    if (isImpatient)
      loop.after(between(this.#random, 0, 200), () => {
        if (asked.isOver) return
        asked.isCancelled = true
        giveUp()
      })
    return asked
  }

  #http1(asked: Asked): () => void {
    const { id, method, size } = asked
    const length = method === 'GET' || method === 'HEAD' ? '' : `Content-Length: ${size}\r\n`
    const caller = this.#kept.ask(
      `${method} ${pathOf(asked)} HTTP/1.1\r\nHost: ${this.#plan.name}\r\nx-id: ${id}\r\nx-size: ${size}\r\n${length}\r\n`,
      method,
      {
        head: answer => this.#head(asked, answer.status, name => answer.header(name)),
        over: answer => {
          asked.isOver = true
          if (answer !== undefined) this.#body(asked, answer.body, answer.whole, name => answer.header(name))
        },
      },
      size > 0 ? bodyOf(`request ${id}`, size) : null,
    )
    return () => caller.wire.reset()
  }

  #overHttp2(asked: Asked): () => void {
    if (this.#http2 === null || this.#http2.over) this.#http2 = this.#mesh.http2Caller()
    const { id, method, size } = asked
    const exchange = this.#http2.ask({
      method,
      path: pathOf(asked),
      authority: this.#plan.name,
      fields: ['x-id', id, 'x-size', String(size)],
      ...(size > 0 && { body: bodyOf(`request ${id}`, size).toString('latin1') }),
    })
    const over = (isWhole: boolean) => {
      if (asked.isOver) return
      asked.isOver = true
      this.#body(asked, Buffer.from(exchange.body, 'latin1'), isWhole, name => exchange.fields.get(name))
    }
    exchange.stream.receiver = {
      head: (head: ResponseHead, end) => {
        exchange.head(head, end)
        if (head.status >= 200) this.#head(asked, head.status, name => exchange.fields.get(name))
        if (end) over(true)
      },
      data(chunk, end) {
        const more = exchange.data(chunk, end)
        if (end) over(true)
        return more
      },
      trailers: trailers => {
        exchange.trailers(trailers)
        over(true)
      },
      reset(failure, detail) {
        exchange.reset(failure, detail)
        over(false)
      },
      writable: () => exchange.writable(),
    }
    return () => exchange.cancel()
  }

  #head(asked: Asked, status: number, field: (name: string) => string | undefined): void {
    if (++asked.answers > 1) asked.wrong = 'two answers'
    asked.headAt = this.#mesh.loop.now
    asked.status = status
    const id = field('x-id')
    if (id !== undefined && id !== asked.id) asked.wrong = `the answer to ${id}`
  }

  #body(asked: Asked, body: Buffer, isWhole: boolean, field: (name: string) => string | undefined): void {
    if (asked.isCancelled) return
    if (field('content-type') === 'application/problem+json') {
      if (asked.method !== 'HEAD') asked.failure = (JSON.parse(body.toString()) as { failure: string }).failure
      return
    }
    if (asked.status !== 200) return
    const should = bodyOf(`answer ${asked.id}`, asked.method === 'HEAD' ? 0 : Number(field('x-size')))
    if (!(isWhole ? body.equals(should) : should.subarray(0, body.length).equals(body)))
      asked.wrong = `${body.length} bytes that were not sent`
  }
}

function pathOf({ id, isFast }: Asked): string {
  return `${isFast ? '/fast' : ''}/${id}`
}
