import type { TracesSpec } from '../../mesh-config/snapshot.ts'
import type { TraceContext } from './trace.ts'
import { hexValue } from './traceparent.ts'

const TWO_32 = 0x1_0000_0000
/** Where the right-most 56 bits of a trace id begin, which are random (W3C Trace Context level 2). */
const RANDOM_AT = 18

/** What is done about traces on a data thread now: one object, read by the filter and by what makes the spans. */
export class Tracing {
  /** Spans go somewhere, and the configuration wants them. Where this is false, nothing is read, made or sent. */
  isOn = false
  isW3c = true
  isB3 = true
  failed = true
  slow = true
  /** Sampled is what the first 32 of those 56 bits do not lie below. */
  #threshold = TWO_32
  #isWanted = false
  #isExported = false
  #hasAgent = false

  configure(spec: TracesSpec): void {
    this.#isWanted = spec.isOn
    this.#isExported = spec.isExported
    this.isW3c = spec.propagate.includes('w3c')
    this.isB3 = spec.propagate.includes('b3')
    this.failed = spec.failed
    this.slow = spec.slow
    this.#threshold = Math.round(TWO_32 * (1 - spec.samplePercent / 100))
    this.#decide()
  }

  /** An agent takes spans, or no longer. */
  agent(isThere: boolean): void {
    this.#hasAgent = isThere
    this.#decide()
  }

  #decide(): void {
    this.isOn = this.#isWanted && (this.#isExported || this.#hasAgent)
  }

  /** The same for one trace on every hop that has the same ratio; with a higher one, the same and more. */
  isSampledByRatio({ traceId }: TraceContext): boolean {
    let bits = 0
    for (let i = RANDOM_AT; i < RANDOM_AT + 8; i++) bits = bits * 16 + hexValue(traceId.charCodeAt(i))
    return bits >= this.#threshold
  }
}
