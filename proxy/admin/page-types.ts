/** A page of the admin port. */
export interface Page {
  readonly path: string
  readonly methods: readonly ('GET' | 'POST')[]
  /** One line for the index: the content of the page. */
  readonly shows: string
  /** Possible query parameters. */
  readonly parameters?: string
  answer(request: PageRequest): PageAnswer | Promise<PageAnswer>
}

export type Format = 'json' | 'text' | 'html'

export interface PageRequest {
  readonly method: 'GET' | 'POST'
  readonly query: URLSearchParams
  /** Null: the caller accepts anything, so the page chooses. */
  readonly format: Format | null
  readonly body: string
  /** The Accept header; empty: none. */
  readonly accept: string
}

export interface PageAnswer {
  readonly status: number
  readonly type: string
  readonly body: string | AsyncIterable<string>
  /** For HTML: its Content-Security-Policy. */
  readonly policy?: string
}
