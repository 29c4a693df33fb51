import type { UpstreamOwner } from '../../core/codec.ts'
import type { Http1Head } from './head.ts'

/**
 * What an answer tells of its request counts when its sender has proven to be a sidecar. Until that is known its bytes
 * wait here, and are read again then.
 */
export class Told {
  readonly #goOn: (answer: Buffer) => void
  #answer: Buffer | null = null
  /** Null: not known for this answer. */
  #isProven: boolean | null = null

  constructor(goOn: (answer: Buffer) => void) {
    this.#goOn = goOn
  }

  /** Before each request. */
  clear(): void {
    this.#isProven = null
  }

  get isWaiting(): boolean {
    return this.#answer !== null
  }

  /** False: the answer waits. */
  settles(head: Http1Head, chunk: Buffer, length: number, owner: UpstreamOwner): boolean {
    const isProven = this.#isProven ?? owner.vouched?.(this.#known) ?? false
    if (isProven === 'later') {
      head.clear()
      this.#answer = Buffer.from(chunk.subarray(0, length))
      return false
    }
    if (isProven) head.ownFailure = head.claimedFailure
    return true
  }

  add(chunk: Buffer, length: number): void {
    this.#answer = Buffer.concat([this.#answer!, chunk.subarray(0, length)])
  }

  /** The connection ends: what came is all there is. */
  giveUp(): void {
    this.#known(false)
  }

  #known = (isSidecar: boolean): void => {
    const answer = this.#answer
    if (answer === null) return
    this.#answer = null
    this.#isProven = isSidecar
    this.#goOn(answer)
  }
}
