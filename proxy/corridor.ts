import { classify } from './cluster/classify.ts'
import type { Unknown } from './core/channel.ts'
import { failures } from './core/failure.ts'
import type { Verdict } from './core/filter.ts'
import type { ListenerRuntime } from './core/listener.ts'
import type { Telemetry } from './core/telemetry.ts'
import { runComplete, runRequest, runResponse } from './filter/chain.ts'
import type { Forward, ForwardDeps } from './forward/forward.ts'

export interface CorridorDeps extends Pick<ForwardDeps, 'clock' | 'random' | 'tunnels'> {
  readonly telemetry: Telemetry
  /** The runtime the listener has now: an exchange asks once, and keeps what it got. */
  listener(): ListenerRuntime
  /**
   * Asks for the service of a host that no route knows: resolves when it is there (null), or with the reason why not.
   * Null: nobody could know it.
   */
  discover(authority: string): Promise<Unknown | null> | null
}

/**
 * A request's way: listener -> codec -> filters -> router -> balancer -> pool -> codec, and back. This is the file to
 * open first: it joins the parts and has no logic of its own. docs/life-of-a-request.md tells the same at length.
 */
export function corridor(deps: CorridorDeps): ForwardDeps {
  const { clock, random, telemetry, tunnels } = deps

  // 1  The codec has a whole, strictly checked head: nothing malformed gets this far.
  function onHead(forward: Forward): void {
    const listener = deps.listener()
    // 2  Listener filters, before routing: a request without an id could not be found in a log, whatever becomes of it.
    forward.filters = listener.filters
    const verdict = runRequest(listener.filters, forward.exchange)
    if (verdict instanceof Promise) whenDecided(forward, verdict, () => route(forward, listener))
    else if (verdict !== undefined) forward.reply(verdict)
    else route(forward, listener)
  }

  function route(forward: Forward, listener: ListenerRuntime): void {
    const { exchange } = forward
    // 3  The route, before the route's filters: they are its own compiled list.
    const found = listener.router(exchange.request, exchange.decision)
    if (found === null) return noRoute(forward, listener)
    exchange.route = found
    if (found.filters.length === 0) return destination(forward)
    // 4  The route's filters, before the split: a refused request must not count as one of its destination's.
    forward.filters = [...listener.filters, ...found.filters]
    const verdict = runRequest(found.filters, exchange)
    if (verdict instanceof Promise) whenDecided(forward, verdict, () => destination(forward))
    else if (verdict !== undefined) forward.reply(verdict)
    else destination(forward)
  }

  /** A service that nobody asked for yet may be known to the registry: then the router is asked again. */
  function noRoute(forward: Forward, listener: ListenerRuntime): void {
    const { request, decision, generation } = forward.exchange
    if (decision.service !== '')
      return forward.fail(failures.noRoute, `service ${decision.service} has no route for this`)
    const found =
      listener.spec.direction === 'outbound' && listener.spec.service === null ? deps.discover(request.authority) : null
    if (found === null) return forward.fail(failures.noRoute, `no service is known as "${request.authority}"`)
    void found.then(why => {
      if (forward.done || forward.exchange.generation !== generation) return
      if (why === null) route(forward, deps.listener())
      else forward.fail(why.certain ? failures.noRoute : failures.noCluster, why.reason)
    })
  }

  // 5  The split draws once: retries stay with the destination that was drawn.
  // 6  forward/ takes it from here: circuit breaking, then for each attempt balancer -> pool -> codec, and the answer
  // back.
  function destination(forward: Forward): void {
    const found = forward.exchange.route!
    const cluster = found.destination(random, forward.exchange.decision)
    if (cluster === null) forward.fail(failures.noCluster, forward.exchange.decision.destination)
    else forward.proceed(found, cluster)
  }

  function whenDecided(forward: Forward, verdict: Promise<Verdict>, next: () => void): void {
    const { generation } = forward.exchange
    void verdict.then(reply => {
      // The caller may have gone away meanwhile, and the stream may even carry its next request.
      if (forward.done || forward.exchange.generation !== generation) return
      if (reply === undefined) next()
      else forward.reply(reply)
    })
  }

  return {
    clock,
    random,
    tunnels,
    classify,
    onHead,
    // 7  Back: response filters in reverse, on upstream answers and local replies alike.
    onResponse: (forward, response) => runResponse(forward.filters, forward.exchange, response),
    // 8  The end, once however it came: permits are released first, so that what telemetry reads is final.
    onComplete(forward) {
      runComplete(forward.filters, forward.exchange)
      telemetry.exchange(forward.exchange)
    },
  }
}
