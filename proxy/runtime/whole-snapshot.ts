import { own } from '../../mesh-config/own.ts'
import type { ServiceSpec, Snapshot } from '../../mesh-config/snapshot.ts'
import type { SnapshotMessage } from '../core/channel.ts'

/** With the services that are as in the snapshot in force: those are the very objects of before. */
export function wholeSnapshot({ snapshot, services }: SnapshotMessage, inForce: Snapshot | null): Snapshot {
  const specs = services.map((name): [string, ServiceSpec] => {
    const spec = own(snapshot.services, name) ?? own(inForce?.services ?? {}, name)
    if (spec === undefined) throw new Error(`the snapshot leaves out the service ${name}, which is not in force`)
    return [name, spec]
  })
  return { ...snapshot, services: Object.fromEntries(specs) }
}
