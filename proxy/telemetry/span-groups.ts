import type { SpanWriter } from './span-writer.ts'

/** Attributes that the spans of one subject have in common, as bytes, and what they were made of. */
interface Group {
  readonly made: readonly unknown[]
  readonly bytes: Uint8Array
}

/**
 * Attributes that hardly change from one span of a subject (a route, an endpoint) to the next are encoded once and
 * copied. `of` says what they depend on besides the subject.
 */
export class SpanGroups<Subject extends object> {
  readonly #bySubject = new WeakMap<Subject, Group>()
  #lastSubject: Subject | null = null
  #last: Group | null = null

  /** True: they are in the span. False: they are to be written, between this call and `keep`. */
  put(span: SpanWriter, subject: Subject, a: unknown, b: unknown, c: unknown, d: unknown): boolean {
    if (subject !== this.#lastSubject) {
      this.#lastSubject = subject
      this.#last = this.#bySubject.get(subject) ?? null
    }
    const group = this.#last
    if (group === null) return false
    const { made } = group
    if (made[0] !== a || made[1] !== b || made[2] !== c || made[3] !== d) return false
    span.put(group.bytes)
    return true
  }

  keep(span: SpanWriter, mark: number, subject: Subject, a: unknown, b: unknown, c: unknown, d: unknown): void {
    const group = { made: [a, b, c, d], bytes: span.since(mark) }
    this.#bySubject.set(subject, group)
    this.#lastSubject = subject
    this.#last = group
  }
}
