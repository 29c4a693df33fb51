import type { Cell } from './cells.ts'
import type { FailureEvidence } from './telemetry.ts'

const KEPT = 8
const WHAT_BYTES = 28
const ID_BYTES = 40
const REASON_BYTES = 200

/** Why it was ejected last; then the number of failures so far; then the ring of them: time, what, request id. */
const REASON = 0
const COUNT = REASON_BYTES / 4
const RING = COUNT + 1
const TIME = 0
const WHAT = 1
const ID = WHAT + WHAT_BYTES / 4
const FAILURE_WORDS = ID + ID_BYTES / 4

export const EVIDENCE_WORDS = RING + KEPT * FAILURE_WORDS

/**
 * The last failures of an endpoint on all data threads, and why it was ejected last. Only endpoints that have failed
 * have one. A reader may see one that is being overwritten: it is for people.
 */
export class Evidence {
  readonly #cell: Cell

  constructor(cell: Cell) {
    this.#cell = cell
  }

  note(what: string, requestId: string, now: number): void {
    const { words } = this.#cell
    const at = RING + ((Atomics.add(words, COUNT, 1) >>> 0) % KEPT) * FAILURE_WORDS
    words[at + TIME] = now | 0
    write(words, at + WHAT, WHAT_BYTES, what)
    write(words, at + ID, ID_BYTES, requestId)
  }

  get reason(): string {
    return read(this.#cell.words, REASON, REASON_BYTES)
  }

  set reason(text: string) {
    write(this.#cell.words, REASON, REASON_BYTES, text)
  }

  /** The oldest first. */
  failures(now: number): FailureEvidence[] {
    const { words } = this.#cell
    const count = words[COUNT]! >>> 0
    const failures: FailureEvidence[] = []
    for (let i = Math.max(0, count - KEPT); i < count; i++) {
      const at = RING + (i % KEPT) * FAILURE_WORDS
      failures.push({
        agoMs: Math.max(0, (now - words[at + TIME]!) | 0),
        what: read(words, at + WHAT, WHAT_BYTES),
        requestId: read(words, at + ID, ID_BYTES),
      })
    }
    return failures
  }

  close(): void {
    this.#cell.close()
  }
}

/** A byte for each character: what is longer is cut, and what is no ASCII becomes `?`. */
function write(words: Int32Array, at: number, bytes: number, text: string): void {
  for (let i = 0; i < bytes; i += 4) {
    let word = 0
    for (let j = 0; j < 4 && i + j < text.length; j++) {
      const code = text.charCodeAt(i + j)
      word |= (code >= 0x20 && code < 0x7f ? code : 0x3f) << (j * 8)
    }
    words[at + i / 4] = word
  }
}

function read(words: Int32Array, at: number, bytes: number): string {
  let text = ''
  for (let i = 0; i < bytes; i++) {
    const code = (words[at + (i >> 2)]! >>> ((i & 3) * 8)) & 0xff
    if (code === 0) break
    text += String.fromCharCode(code)
  }
  return text
}
