/** Values of the alphabet of RFC 4648 section 4, and of no other. */
const VALUES = new Uint8Array(256).fill(255)
for (const [value, character] of [...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'].entries())
  VALUES[character.charCodeAt(0)] = value
const PADDING = 0x3d
const INVALID = 255

/**
 * Base64 as gRPC-Web has it: a row of texts, each padded for itself wherever its writer had something to send, and cut
 * anywhere on the way. Bytes come out as soon as they are whole.
 */
export class Base64Reader {
  #bits = 0
  /** Characters of the group that has begun, padding included. */
  #count = 0
  #padding = 0

  /** The bytes that this piece completes; null: it is no base64. */
  push(text: Buffer): Buffer | null {
    const { length } = text
    const out = Buffer.allocUnsafe(Math.ceil(((this.#count + length) * 3) / 4))
    let bits = this.#bits
    let count = this.#count
    let at = 0
    for (let i = 0; i < length; i++) {
      const byte = text[i]!
      const value = VALUES[byte]!
      if (value === INVALID) {
        // Padding stands where a third or fourth character would.
        if (byte !== PADDING || count < 2) return null
        this.#padding++
        bits <<= 6
      } else if (this.#padding !== 0) return null
      else bits = (bits << 6) | value
      if (++count !== 4) continue
      out[at++] = bits >> 16
      if (this.#padding < 2) out[at++] = bits >> 8
      if (this.#padding < 1) out[at++] = bits
      this.#padding = 0
      bits = 0
      count = 0
    }
    this.#bits = bits
    this.#count = count
    return out.subarray(0, at)
  }

  /** Nothing of a group is left that its end never came of. */
  get isWhole(): boolean {
    return this.#count === 0
  }
}

/** A text of its own, padded. */
export function base64(bytes: Buffer): Buffer {
  return Buffer.from(bytes.base64Slice(), 'latin1')
}
