import { createHash } from 'node:crypto'
import type { Collection } from './edit.ts'
import { annotation } from './names.ts'
import type { SidecarMode } from './settings.ts'
import { isMap, type Json, mapOf, own } from './shape.ts'

/** What the annotation `outrigger.io/injected` says: enough to take the injection back, and to know whether it is still right. */
export interface Status {
  readonly version: string
  readonly by: 'inject' | 'injector'
  readonly mode: SidecarMode
  /** Collections that were not there before; and those that were null. */
  readonly made: readonly Collection[]
  readonly filled: readonly Collection[]
  /** Annotations that were added, besides this one; and keys of the spec. */
  readonly annotations: readonly string[]
  readonly spec: readonly string[]
  /** Digests of all that was added, and of the sidecar file in it. */
  readonly plan: string
  readonly file: string
}

export function digest(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 12)
}

/** Null: the pod has none. Throws where it has one that injection did not write. */
export function statusOf(pod: Json): Status | null {
  const text = own(mapOf(mapOf(pod.metadata).annotations), annotation.injected)
  if (text === undefined || text === null) return null
  const status = parsed(text)
  if (status === null)
    throw new Error(
      `${annotation.injected} is written by injection, and this one is not of it: remove the annotation and what injection added`,
    )
  return status
}

function parsed(text: unknown): Status | null {
  try {
    const status: unknown = JSON.parse(String(text))
    const isWhole =
      isMap(status) &&
      [status.made, status.filled, status.annotations, status.spec].every(Array.isArray) &&
      [status.version, status.by, status.plan, status.file].every(each => typeof each === 'string')
    return isWhole ? (status as unknown as Status) : null
  } catch {
    return null
  }
}
