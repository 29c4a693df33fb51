import { readFileSync, statSync } from 'node:fs'
import type { Collector, CollectorOptions, TlsFiles } from './collector.ts'
import { grpcCollector } from './grpc-collector.ts'
import { httpCollector } from './http-collector.ts'
import type { ExportSettings } from './target.ts'

/** Certificates are looked at so often. */
const LOOK_MS = 30_000

/**
 * The collector, made anew where its certificate files have changed. Throws an error for people where they cannot be
 * read at the start; later the ones before stay in use.
 */
export function collectorWithFiles(
  { target, timeoutMs, files }: ExportSettings & { readonly target: NonNullable<ExportSettings['target']> },
  warn: (line: string) => void,
): { readonly current: () => Collector; readonly close: () => void } {
  const make = target.protocol === 'grpc' ? grpcCollector : httpCollector
  const used = target.secure ? Object.values(files).filter(file => file !== null) : []
  const stamp = () => used.map(file => statSync(file).mtimeMs).join(' ')
  const options = (): CollectorOptions => ({ target, timeoutMs, tls: target.secure ? read(files) : none })
  let collector = make(options())
  let seen = stamp()
  let lookedAt = performance.now()
  return {
    current() {
      if (used.length === 0 || performance.now() - lookedAt < LOOK_MS) return collector
      lookedAt = performance.now()
      try {
        const now = stamp()
        if (now === seen) return collector
        const next = make(options())
        collector.close()
        collector = next
        seen = now
      } catch (error) {
        warn(`traces: the certificates for ${collector.name} are used as they were: ${(error as Error).message}`)
      }
      return collector
    },
    close: () => collector.close(),
  }
}

const none: TlsFiles = { ca: null, cert: null, key: null }

function read({ ca, cert, key }: ExportSettings['files']): TlsFiles {
  const of = (file: string | null) => (file === null ? null : readFileSync(file))
  return { ca: of(ca), cert: of(cert), key: of(key) }
}
