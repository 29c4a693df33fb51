/** The outcome of each request, in the order of sending. */
export class RequestLog {
  length = 0
  /** Milliseconds since the measurement began. */
  sentAt = new Float64Array(4096)
  tookMs = new Float64Array(4096)
  status = new Uint16Array(4096)
  /** 1: it was sent to the observed instance. */
  toBad = new Uint8Array(4096)

  /** The row for a request sent now. */
  begin(sentAt: number, toBad: boolean): number {
    const row = this.length++
    if (row === this.status.length) this.#grow()
    this.sentAt[row] = sentAt
    this.toBad[row] = toBad ? 1 : 0
    return row
  }

  end(row: number, tookMs: number, status: number): void {
    this.tookMs[row] = tookMs
    this.status[row] = status
  }

  #grow(): void {
    const { sentAt, tookMs, status, toBad } = this
    const size = 2 * status.length
    this.sentAt = new Float64Array(size)
    this.tookMs = new Float64Array(size)
    this.status = new Uint16Array(size)
    this.toBad = new Uint8Array(size)
    this.sentAt.set(sentAt)
    this.tookMs.set(tookMs)
    this.status.set(status)
    this.toBad.set(toBad)
  }
}
