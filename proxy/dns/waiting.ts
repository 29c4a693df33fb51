/** A query that waits for its answer. */
export interface WaitingQuery {
  readonly client: string
  /** Ends it, because others need its room. */
  readonly end: () => void
}

export interface WaitingOptions {
  readonly most: number
  readonly perClient: number
}

/**
 * The queries that wait for an answer. Where there is no room for another one, the oldest of the client with the most
 * ends: a client that floods ends its own.
 */
export class Waiting {
  readonly #options: WaitingOptions
  /** The oldest of each client first. */
  readonly #clients = new Map<string, Set<WaitingQuery>>()
  /** The clients that have so many. */
  readonly #byCount: Set<string>[] = []
  #highest = 0
  #size = 0
  /** Queries that had to end. */
  ended = 0

  constructor(options: WaitingOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#size
  }

  add(query: WaitingQuery): void {
    const own = this.#clients.get(query.client)
    if (own !== undefined && own.size >= this.#options.perClient) this.#endOldest(query.client)
    else if (this.#size >= this.#options.most) this.#endOldest(this.#largest())
    const queries = this.#clients.get(query.client) ?? new Set()
    this.#clients.set(query.client, queries.add(query))
    this.#size++
    this.#moved(query.client, queries.size - 1, queries.size)
  }

  /** Without effect when it is not there any longer. */
  remove(query: WaitingQuery): void {
    const queries = this.#clients.get(query.client)
    if (queries === undefined || !queries.delete(query)) return
    this.#size--
    if (queries.size === 0) this.#clients.delete(query.client)
    this.#moved(query.client, queries.size + 1, queries.size)
  }

  endAll(client: string): void {
    for (const query of [...(this.#clients.get(client) ?? [])]) {
      this.remove(query)
      query.end()
    }
  }

  #endOldest(client: string): void {
    const [oldest] = this.#clients.get(client)!
    this.remove(oldest!)
    this.ended++
    oldest!.end()
  }

  #largest(): string {
    while ((this.#byCount[this.#highest]?.size ?? 0) === 0) this.#highest--
    const [client] = this.#byCount[this.#highest]!
    return client!
  }

  #moved(client: string, from: number, to: number): void {
    this.#byCount[from]?.delete(client)
    if (to === 0) return
    this.#byCount[to] ??= new Set()
    this.#byCount[to].add(client)
    this.#highest = Math.max(this.#highest, to)
  }
}
