/**
 * HalfSipHash-1-3 with an output of 64 bits (Aumasson, Bernstein 2012; Linux uses it for hash tables): without the key
 * of 64 bits a caller cannot make up texts that meet in one place of a table. One text after the other is added; what
 * comes of them is in `high` and `low`.
 */
export class KeyHash {
  high = 0
  low = 0
  #v0 = 0
  #v1 = 0
  #v2 = 0
  #v3 = 0
  #length = 0

  begin(key0: number, key1: number): void {
    this.#v0 = key0
    this.#v1 = key1 ^ 0xee
    this.#v2 = key0 ^ 0x6c796765
    this.#v3 = key1 ^ 0x74656462
    this.#length = 0
  }

  /** Its length is counted in, so that two texts are not one that is as long as both. */
  bytes(from: Uint8Array, count: number): void {
    let i = 0
    for (; i + 4 <= count; i += 4)
      this.word(from[i]! | (from[i + 1]! << 8) | (from[i + 2]! << 16) | (from[i + 3]! << 24))
    let rest = 0
    for (; i < count; i++) rest = (rest << 8) | from[i]!
    this.word(rest)
    this.word(count)
  }

  text(text: string): void {
    const { length } = text
    let i = 0
    for (; i + 2 <= length; i += 2) this.word(text.charCodeAt(i) | (text.charCodeAt(i + 1) << 16))
    this.word(i < length ? text.charCodeAt(i) : 0)
    this.word(length)
  }

  word(word: number): void {
    this.#length++
    this.#v3 ^= word
    this.#round()
    this.#v0 ^= word
  }

  end(): void {
    this.word(this.#length)
    this.#v2 ^= 0xee
    for (let i = 0; i < 3; i++) this.#round()
    this.high = this.#v1 ^ this.#v3
    this.#v1 ^= 0xdd
    for (let i = 0; i < 3; i++) this.#round()
    this.low = this.#v1 ^ this.#v3
  }

  #round(): void {
    let v0 = this.#v0
    let v1 = this.#v1
    let v2 = this.#v2
    let v3 = this.#v3
    v0 = (v0 + v1) | 0
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0
    v0 = (v0 << 16) | (v0 >>> 16)
    v2 = (v2 + v3) | 0
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2
    v0 = (v0 + v3) | 0
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0
    v2 = (v2 + v1) | 0
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2
    v2 = (v2 << 16) | (v2 >>> 16)
    this.#v0 = v0
    this.#v1 = v1
    this.#v2 = v2
    this.#v3 = v3
  }
}
