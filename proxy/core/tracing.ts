import type { TracesSpec } from '../../mesh-config/snapshot.ts'
import type { TraceContext } from './trace.ts'

const TWO_32 = 0x1_0000_0000

/** What is done about traces on a data thread now: one object, read by the filter and by what makes the spans. */
export class Tracing {
  /** Spans go somewhere, and the configuration wants them. Where this is false, nothing is read, made or sent. */
  isOn = false
  isW3c = true
  isB3 = true
  failed = true
  slow = true
  /** So many spans are a batch (`traces.batch.spans`). */
  batchSpans = 512
  /** Of the right-most 56 bits, which are random (W3C Trace Context level 2): what the first 32 are not below is sampled. */
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
    this.batchSpans = spec.batchSpans
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
  isSampledByRatio({ trace2, trace3 }: TraceContext): boolean {
    return ((trace2 << 8) | (trace3 >>> 24)) >>> 0 >= this.#threshold
  }
}
