import type { ServiceSpec, Snapshot } from '../../mesh-config/snapshot.ts'
import type { SnapshotMessage } from '../core/channel.ts'
import { isSame } from '../core/same.ts'

/** The snapshot that one data thread has, so that of the next one only what differs is sent. */
export interface SentSnapshot {
  /** `snapshot` for this thread. */
  message(snapshot: Snapshot): SnapshotMessage
  /** It has answered: this is the one it has from now on. */
  taken(snapshot: Snapshot): void
  /** It has not answered: it may have either, so the next one is sent whole. */
  forget(): void
  /** The thread was told of other endpoints than its snapshot has. */
  told(service: string): void
}

export function sentSnapshot(): SentSnapshot {
  let has: Readonly<Record<string, ServiceSpec>> = {}
  /** Services told of since that one was sent, and since the last one was. */
  let told = new Set<string>()
  let toldSince = new Set<string>()
  const isThere = (spec: ServiceSpec) =>
    Object.hasOwn(has, spec.name) && !told.has(spec.name) && isSame(has[spec.name], spec)

  return {
    message(snapshot) {
      toldSince = new Set()
      const all = Object.values(snapshot.services)
      const changed = all.filter(spec => !isThere(spec))
      return {
        kind: 'snapshot',
        snapshot: { ...snapshot, services: Object.fromEntries(changed.map(spec => [spec.name, spec])) },
        services: all.map(({ name }) => name),
      }
    },
    taken(snapshot) {
      has = snapshot.services
      told = toldSince
    },
    forget() {
      has = {}
    },
    told(service) {
      told.add(service)
      toldSince.add(service)
    },
  }
}
