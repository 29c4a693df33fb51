import type { WantedPolicy } from '../wanted-policy.ts'

/** The messages of sync.proto, as @grpc/proto-loader gives and takes them. */
export interface FromProxy {
  readonly message?: 'hello' | 'subscribe' | 'answer' | 'summary'
  readonly hello?: Hello
  readonly subscribe?: { readonly services: readonly Wanted[] }
  readonly answer?: Answer
  readonly summary?: unknown
}

export interface Hello {
  readonly formats: readonly number[]
  readonly proxy: string
  readonly service: string
  readonly version: string
  readonly host: string
  readonly zone: string
  readonly pid: number
  readonly admin: string
  readonly config: string
}

export interface Wanted {
  readonly service: string
  readonly own: Buffer
  readonly have: string
}

export interface Answer {
  readonly service: string
  readonly version: string
  readonly reasons: readonly string[]
}

export function updateMessage(service: string, policy: WantedPolicy): object {
  const { version, spec, provenance, discovery, warnings } = policy
  return { update: { service, version, unchanged: false, spec, provenance, discovery, warnings } }
}
