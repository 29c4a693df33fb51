import { formatAddress } from '../../mesh-config/address.ts'
import type { HttpCheckSpec, StatusRange } from '../../mesh-config/snapshot.ts'
import { HeaderList } from '../core/header-list.ts'
import type { ResponseHead } from '../core/message.ts'
import { type CheckerDeps, HEALTHY, type MakeChecker, type Outcome } from './checker.ts'
import { type AnswerReader, StreamChecker } from './stream-checker.ts'

const MOST_BYTES = 64 * 1024

export type MatchText = (text: string) => boolean

/** `matches`: what the body must match; null: it is not looked at. */
export function httpChecks(
  spec: HttpCheckSpec,
  reuse: boolean,
  matches: MatchText | null,
  deps: CheckerDeps,
): MakeChecker {
  const { method, path, protocol, headers, maxResponseMs } = spec
  const fields = ['user-agent', 'outrigger-check', 'accept', '*/*', ...headers.flat()]
  return address => {
    const name = formatAddress(address)
    const url = `${method} ${deps.scheme}://${name}${path}`
    return new StreamChecker(
      address,
      {
        codec: protocol === 'h2' ? deps.http2 : deps.http1,
        head: {
          method,
          scheme: deps.scheme,
          authority: spec.host === '' ? name : spec.host,
          path,
          upgrade: '',
          headers: new HeaderList([...fields]),
        },
        body: null,
        reuse,
        maxResponseMs,
        spoken: protocol === 'h2' ? 'HTTP/2' : 'HTTP/1.1',
        words: trouble => (trouble.startsWith('answers ') ? `${url} ${trouble}` : `${url}: ${trouble}`),
        begin: () => new HttpAnswer(spec, matches),
      },
      deps,
    )
  }
}

class HttpAnswer implements AnswerReader {
  readonly #spec: HttpCheckSpec
  readonly #matches: MatchText | null
  readonly #pieces: Buffer[] = []
  #bytes = 0
  #byHead: Outcome = HEALTHY

  constructor(spec: HttpCheckSpec, matches: MatchText | null) {
    this.#spec = spec
    this.#matches = matches
  }

  /** A good status waits for the body: where nothing is asked of it, so that the connection can be kept. */
  head({ status }: ResponseHead): Outcome | null {
    const { expect, retriable } = this.#spec
    if (isIn(status, expect)) return null
    this.#byHead = { kind: isIn(status, retriable) ? 'failed' : 'unhealthy', trouble: `answers ${status}` }
    return null
  }

  data(chunk: Buffer): Outcome | null {
    const room = MOST_BYTES - this.#bytes
    this.#bytes += chunk.length
    if (this.#matches !== null && room > 0) this.#pieces.push(Buffer.from(chunk.subarray(0, room)))
    return this.#bytes > MOST_BYTES ? this.ended() : null
  }

  ended(): Outcome {
    if (this.#byHead !== HEALTHY || this.#matches === null) return this.#byHead
    if (this.#matches(Buffer.concat(this.#pieces).toString())) return HEALTHY
    const { kind, value } = this.#spec.body!
    const wanted = JSON.stringify(value)
    return {
      kind: 'unhealthy',
      trouble: `its body ${kind === 'regex' ? `does not match ${wanted}` : `does not contain ${wanted}`}`,
    }
  }
}

function isIn(status: number, ranges: readonly StatusRange[]): boolean {
  return ranges.some(([from, to]) => status >= from && status <= to)
}
