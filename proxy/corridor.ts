import { classify } from './cluster/classify.ts'
import type { Unknown } from './core/channel.ts'
import type { ListenerRuntime } from './core/listener.ts'
import type { Telemetry } from './core/telemetry.ts'
import { decider } from './forward/decide.ts'
import type { ForwardDeps } from './forward/forward.ts'

export interface CorridorDeps extends Pick<ForwardDeps, 'clock' | 'random' | 'tunnels' | 'marks'> {
  readonly telemetry: Telemetry
  /** The runtime the listener has now: an exchange asks once, and keeps what it got. */
  listener(): ListenerRuntime
  /**
   * Asks for the service of a host that no route knows: resolves when it is there (null), or with the reason why not.
   * Null: no registry could know it.
   */
  discover(authority: string): Promise<Unknown | null> | null
  /** The same, where there is somewhere else to go. */
  discoverAhead(authority: string): Promise<Unknown | null> | null
}

/**
 * A request's way: listener -> codec -> decision -> balancer -> pool -> codec, and back. This is the file to open
 * first: it joins the parts and has no logic of its own. docs/life-of-a-request.md tells the same at length.
 */
export function corridor(deps: CorridorDeps): ForwardDeps {
  const { clock, random, telemetry, tunnels, marks, listener, discover, discoverAhead } = deps

  return {
    clock,
    random,
    tunnels,
    marks,
    classify,

    // 1  The codec has a whole, strictly checked head: nothing malformed gets this far.
    // 2  The decision (forward/decide.ts): listener filters, the route, route filters, the split, and whether the
    //    service takes the request. It refuses, waits, or goes on.
    decide: decider({ clock, random, listener, discover, discoverAhead, isPreview: false }),

    // 3  Forward: the sinks of the filters, circuit breaking, then for each attempt balancer -> pool -> codec.

    // 4  Back: response filters in reverse, on the answers of endpoints and local replies alike.
    onResponse: (exchange, response) => exchange.filters?.onResponse(exchange, response),

    // 5  The end, once however it came: permits are released first, so that what telemetry reads is final.
    onComplete(exchange) {
      exchange.filters?.onComplete(exchange)
      telemetry.exchange(exchange)
    },
  }
}
