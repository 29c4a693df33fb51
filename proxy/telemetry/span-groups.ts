import type { SpanWriter } from './span-writer.ts'

/** What the attributes of a group depend on besides its subject. */
type Made = string | number | boolean

/** Attributes that the spans of one subject have in common, as bytes, and what they were made of. */
interface Group {
  readonly a: Made
  readonly b: Made
  readonly c: Made
  readonly d: Made
  readonly e: Made
  readonly bytes: Uint8Array
}

/**
 * Attributes that hardly change from one span of a subject (a route, an endpoint) to the next are encoded once and
 * copied. `a` to `e` are what they depend on besides the subject.
 */
export class SpanGroups<Subject extends object> {
  readonly #bySubject = new WeakMap<Subject, Group>()
  #lastSubject: Subject | null = null
  #last: Group | null = null

  /** True: they are in the span. False: they are to be written, between this call and `keep`. */
  put(span: SpanWriter, subject: Subject, a: Made, b: Made, c: Made, d: Made, e: Made): boolean {
    if (subject !== this.#lastSubject) {
      this.#lastSubject = subject
      this.#last = this.#bySubject.get(subject) ?? null
    }
    const group = this.#last
    if (group === null) return false
    if (group.a !== a || group.b !== b || group.c !== c || group.d !== d || group.e !== e) return false
    span.put(group.bytes)
    return true
  }

  keep(span: SpanWriter, mark: number, subject: Subject, a: Made, b: Made, c: Made, d: Made, e: Made): void {
    const group = { a, b, c, d, e, bytes: span.since(mark) }
    this.#bySubject.set(subject, group)
    this.#lastSubject = subject
    this.#last = group
  }
}
