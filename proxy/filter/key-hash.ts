/** A text of 256 characters, four times, with what is added to each. */
const MOST_WORDS = 640

/**
 * HalfSipHash-1-3 with an output of 64 bits (Aumasson, Bernstein 2012; Linux uses it for hash tables): without the key
 * of 64 bits a caller cannot make up texts that meet in one place of a table. One text after the other is added, and
 * `end` hashes them in one go; what comes of it is in `high` and `low`.
 */
export class KeyHash {
  high = 0
  low = 0
  readonly #words = new Int32Array(MOST_WORDS)
  #count = 0

  begin(): void {
    this.#count = 0
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
    if (this.#count < MOST_WORDS - 1) this.#words[this.#count++] = word
  }

  end(key0: number, key1: number): void {
    const words = this.#words
    const count = this.#count
    words[count] = count
    let v0 = key0
    let v1 = key1 ^ 0xee
    let v2 = key0 ^ 0x6c796765
    let v3 = key1 ^ 0x74656462
    // A round for each word, three for each half of what comes out.
    for (let i = 0; i < count + 7; i++) {
      const word = i <= count ? words[i]! : 0
      v3 ^= word
      if (i === count + 1) v2 ^= 0xee
      else if (i === count + 4) {
        this.high = v1 ^ v3
        v1 ^= 0xdd
      }
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
      v0 ^= word
    }
    this.low = v1 ^ v3
  }
}
