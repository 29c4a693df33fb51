const HEAD_END = Buffer.from('\r\n\r\n')

/**
 * Counts responses off a connection: feed it what arrives, it says how many responses ended in it. Knows just what the
 * bench's backends send (a Content-Length, one response at a time) and throws on anything else, rather than count
 * wrong.
 */
export class ResponseReader {
  #head: Buffer | null = null
  #bodyLeft = 0
  status = 0
  bodyBytes = 0

  /** True if the response is now complete. */
  feed(chunk: Buffer): boolean {
    let body = chunk
    if (this.#bodyLeft === 0) {
      const bytes = this.#head === null ? chunk : Buffer.concat([this.#head, chunk])
      const end = bytes.indexOf(HEAD_END)
      if (end < 0) {
        this.#head = bytes
        return false
      }
      this.#head = null
      this.#readHead(bytes.toString('latin1', 0, end + 2))
      body = bytes.subarray(end + 4)
    }
    if (body.length > this.#bodyLeft)
      throw new Error(`${body.length - this.#bodyLeft} bytes more than the response announced`)
    this.#bodyLeft -= body.length
    return this.#bodyLeft === 0
  }

  #readHead(head: string): void {
    const length = /\r\ncontent-length: *(\d+) *\r\n/i.exec(head)?.[1]
    if (length === undefined) throw new Error(`a response without Content-Length: ${head.split('\r\n')[0]}`)
    this.status = Number(head.slice(9, 12))
    this.bodyBytes = Number(length)
    this.#bodyLeft = this.bodyBytes
    if (this.bodyBytes === 0) throw new Error(`an empty response: ${head.split('\r\n')[0]}`)
  }
}
