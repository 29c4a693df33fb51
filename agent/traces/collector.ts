/** Where spans go. */
export interface Collector {
  /** `grpc://collector:4317`, without secrets: for people. */
  readonly name: string
  /** Sends one request; resolves when there is an outcome, at the latest after its time limit. Never rejects. */
  send(request: Buffer): Promise<Outcome>
  close(): void
}

export type Outcome =
  /** `rejected`: spans that it did not take after all. `message`: what it says of that, or of others; may be empty. */
  | { readonly kind: 'taken'; readonly rejected: number; readonly message: string }
  /** `afterMs`: when it wants to be asked again; null: it does not say. */
  | { readonly kind: 'again'; readonly why: string; readonly afterMs: number | null }
  /** `content`: because of what was sent, so that parts of it may be taken; else because of who sends, or where to. */
  | { readonly kind: 'refused'; readonly why: string; readonly content: boolean }

export interface CollectorOptions {
  readonly target: Target
  readonly tls: TlsFiles
  readonly timeoutMs: number
}

export interface Target {
  readonly protocol: 'grpc' | 'http'
  readonly secure: boolean
  readonly host: string
  readonly port: number
  /** Of HTTP, such as /v1/traces. */
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly compression: 'gzip' | 'none'
}

/** PEM; null: as the system has it. */
export interface TlsFiles {
  readonly ca: Buffer | null
  readonly cert: Buffer | null
  readonly key: Buffer | null
}

export function nameOf({ protocol, secure, host, port, path }: Target): string {
  const scheme = protocol === 'grpc' ? (secure ? 'grpcs' : 'grpc') : secure ? 'https' : 'http'
  const address = host.includes(':') ? `[${host}]` : host
  return `${scheme}://${address}:${port}${protocol === 'grpc' ? '' : path}`
}

/** What a collector says is for a log line. */
export function shortened(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim()
  return line.length > 300 ? `${line.slice(0, 300)}...` : line
}
