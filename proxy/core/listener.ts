import type { ListenerSpec } from '../../mesh-config/snapshot.ts'
import type { Filter } from './filter.ts'
import type { Router } from './route.ts'

/** A listener as the present snapshot has it; an exchange keeps the one it began with. */
export interface ListenerRuntime {
  readonly spec: ListenerSpec
  /** Before routing: request id, forwarded headers. */
  readonly filters: readonly Filter[]
  readonly router: Router
}
