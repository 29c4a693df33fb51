import type { Unknown } from '../core/channel.ts'
import { serviceOfHost } from '../router/hosts.ts'
import type { Wanted } from './wanted.ts'

/** Resolves when the service of a host is there (null), or with the reason why not. Null: nothing could know it. */
export type Discover = (authority: string) => Promise<Unknown | null> | null

/** `limitMs`: how long a request may wait for it now; 0: services are not found on demand. */
export function discoverer(waiting: Wanted, limitMs: () => number): Discover {
  return authority => {
    const limit = limitMs()
    const service = limit === 0 ? null : serviceOfHost(authority)
    return service === null ? null : waiting.want(service, limit)
  }
}
