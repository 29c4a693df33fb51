import type { RunningProxy } from './proxy.ts'
import { until } from './until.ts'

export interface Synced {
  readonly state: string
  readonly trouble: string
  readonly agent: string
  readonly services: readonly {
    readonly service: string
    readonly version: string
    readonly from: string
    readonly staleMs: number
    readonly refused: string
    readonly reasons: readonly string[]
  }[]
}

/** /sync, once it is as wanted. */
export function synced(proxy: RunningProxy, what: string, isThere: (now: Synced) => boolean): Promise<Synced> {
  return until(`/sync with ${what}`, async () => {
    const now = JSON.parse((await proxy.admin('/sync')).body) as Synced
    return isThere(now) ? now : null
  })
}
