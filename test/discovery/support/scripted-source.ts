import type { EndpointSource, EndpointWatcher } from '../../../proxy/core/source.ts'

export interface ScriptedSource extends EndpointSource {
  /** Whoever watches it; null: nobody yet, or no longer. */
  watcher(): EndpointWatcher | null
  watched(): number
}

/** A source that says what the test says. */
export function scriptedSource(name: string): ScriptedSource {
  let watcher: EndpointWatcher | null = null
  let watched = 0
  return {
    name,
    watch(by, signal) {
      watcher = by
      watched++
      signal.addEventListener('abort', () => {
        watcher = null
      })
    },
    watcher: () => watcher,
    watched: () => watched,
  }
}
