import type { Random } from '../core/clock.ts'
import type { Filter, NextOfRequest, RequestSink } from '../core/filter.ts'
import { HeaderList } from '../core/header-list.ts'
import type { Headers } from '../core/message.ts'
import type { MirrorCopy, Mirroring } from '../core/mirror.ts'

const NAME = 'mirror'
/** Says to an application that it is asked for nobody. */
const MIRRORED = 'x-outrigger-mirrored'
/** Of one connection, or of how a body was sent. */
const NOT_COPIED: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'expect',
  'http2-settings',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
])

/** Sends copies of requests as they leave: what other filters made of them. */
export function mirror(mirroring: Mirroring, random: Random): Filter {
  return {
    name: NAME,
    request(exchange, next, slot) {
      const { percent } = mirroring
      if (percent < 100 && random() * 100 >= percent) return null
      if (!mirroring.hasRoom()) return null
      const headers = copyOf(exchange.request.headers, mirroring.destination)
      const isBodiless = exchange.requestEndedAt !== 0 && exchange.bytesIn === 0
      const send = (body: Buffer | null) => {
        exchange.decision.note(NAME, `a copy goes to ${mirroring.destination}`)
        exchange.keep(slot, mirroring.send(exchange, { headers, body }))
      }
      if (!isBodiless) return new Copying(next, mirroring, send)
      send(null)
      return null
    },
    preview({ decision }) {
      decision.note(NAME, `${mirroring.percent} % of the requests would be copied to ${mirroring.destination}`)
      return undefined
    },
    onComplete(exchange, slot) {
      const copy = exchange.kept<MirrorCopy>(slot)
      if (copy !== undefined) copy.originalEnded(exchange.status, exchange.completedAt - exchange.startedAt)
    },
  }
}

function copyOf(headers: Headers, destination: string): HeaderList {
  const copy = new HeaderList()
  headers.forEach((name, value) => {
    if (!NOT_COPIED.has(name.toLowerCase()) && !name.startsWith(':')) copy.add(name, value)
  })
  copy.set(MIRRORED, destination)
  return copy
}

/** Lets a body pass, and keeps a copy of it until it is whole, or too long. */
class Copying implements RequestSink {
  readonly #next: NextOfRequest
  readonly #mirroring: Mirroring
  readonly #whole: (body: Buffer) => void
  #pieces: Buffer[] | null = []
  #bytes = 0

  constructor(next: NextOfRequest, mirroring: Mirroring, whole: (body: Buffer) => void) {
    this.#next = next
    this.#mirroring = mirroring
    this.#whole = whole
  }

  data(chunk: Buffer, end: boolean): boolean {
    this.#keep(chunk)
    const isWritable = this.#next.data(chunk, end)
    if (end) this.#end()
    return isWritable
  }

  trailers(trailers: Headers): void {
    this.#next.trailers(trailers)
    this.#end()
  }

  writable(): void {
    this.#next.resume()
  }

  #keep(chunk: Buffer): void {
    if (this.#pieces === null) return
    this.#bytes += chunk.length
    if (this.#bytes > this.#mirroring.bodyBytes) {
      this.#pieces = null
      this.#mirroring.tooLong()
    } else if (chunk.length > 0) this.#pieces.push(Buffer.from(chunk))
  }

  #end(): void {
    const pieces = this.#pieces
    this.#pieces = null
    // The body took its time: others may have begun meanwhile.
    if (pieces !== null && this.#mirroring.hasRoom()) this.#whole(Buffer.concat(pieces))
  }
}
