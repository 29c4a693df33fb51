import { lowerCase } from './lower-case.ts'
import type { Headers } from './message.ts'
import { copyValueOf, traceFieldsOf } from './trace-fields.ts'

/** Headers as pairs, for heads and trailers that have no bytes of their own to keep. */
export class HeaderList implements Headers {
  /** Name, value, name, value ... */
  readonly pairs: string[]

  constructor(pairs: string[] = []) {
    this.pairs = pairs
  }

  get(name: string): string | undefined {
    const wanted = lowerCase(name)
    let value: string | undefined
    for (let i = 0; i < this.pairs.length; i += 2) {
      if (isNamed(this.pairs[i]!, wanted))
        value = value === undefined ? this.pairs[i + 1]! : `${value}, ${this.pairs[i + 1]!}`
    }
    return value
  }

  set(name: string, value: string): void {
    this.delete(name)
    this.pairs.push(name, value)
  }

  add(name: string, value: string): void {
    this.pairs.push(name, value)
  }

  delete(name: string): void {
    const wanted = lowerCase(name)
    for (let i = this.pairs.length - 2; i >= 0; i -= 2) if (isNamed(this.pairs[i]!, wanted)) this.pairs.splice(i, 2)
  }

  bodyLength(): number {
    const length = this.get('content-length')
    return length === undefined ? -1 : Number(length)
  }

  carried(): null {
    return null
  }

  traceFields(): number {
    return traceFieldsOf(this.#inLowerCase(), this.pairs.length)
  }

  copyValue(name: string, into: Uint8Array): number {
    return copyValueOf(this.#inLowerCase(), this.pairs.length, name, into)
  }

  #inLowerCase(): string[] {
    return this.pairs.map((text, i) => (i % 2 === 0 ? text.toLowerCase() : text))
  }

  tellTrace(): boolean {
    return false
  }

  forEach(visit: (name: string, value: string) => void): void {
    for (let i = 0; i < this.pairs.length; i += 2) visit(this.pairs[i]!, this.pairs[i + 1]!)
  }
}

function isNamed(written: string, wanted: string): boolean {
  return written === wanted || (written.length === wanted.length && written.toLowerCase() === wanted)
}
