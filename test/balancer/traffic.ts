import type { BalancerSpec, BalancerType } from '../../mesh-config/snapshot.ts'
import { policies } from '../../proxy/balancer/policies.ts'
import type { BalancerDeps, BalancerPolicy } from '../../proxy/core/balancer.ts'
import type { Endpoint } from '../../proxy/core/endpoint.ts'
import { HeaderList } from '../../proxy/core/header-list.ts'
import type { ResponseHead } from '../../proxy/core/message.ts'
import { balancerDeps, bareEndpoints, pickContext } from '../support/endpoints.ts'
import { EventLoop } from '../support/event-loop.ts'

/** What an endpoint does with a request: an answer after so long; a failure, where there is no status. */
export interface Reply {
  readonly afterMs: number
  readonly status?: number
  readonly headers?: readonly string[]
}

export interface TrafficOptions {
  readonly weights: readonly number[]
  readonly requestsPerSecond: number
  readonly seconds: number
  readonly settings?: Partial<BalancerSpec>
  readonly seed?: number
  /** Each request with a key of its own; else with none. */
  readonly keys?: boolean
  /** After `atMs` from the beginning; `chance`: exponential with mean 1, of its own seed. */
  reply(index: number, atMs: number, chance: () => number): Reply
}

export interface TrafficFigures {
  readonly endpoints: readonly Endpoint[]
  /** Of all requests. */
  readonly shares: readonly number[]
  readonly deps: BalancerDeps
  /** The longest there was of requests under way at once, by endpoint. */
  readonly most: readonly number[]
  /** A latency that this part of the answers of the second half stayed under. */
  quantile(part: number): number
}

/**
 * Requests come by chance, are picked for, answered and learnt from, on virtual time; weights are made once a second,
 * as the cluster does it.
 */
export function traffic(type: BalancerType, options: TrafficOptions): TrafficFigures {
  const loop = new EventLoop()
  const deps = balancerDeps(options.seed ?? 1, { type, ...options.settings }, loop)
  const { random } = deps
  const exponential = () => -Math.log(1 - random())
  const endpoints = bareEndpoints(options.weights)
  const policy: BalancerPolicy = policies[type]
  let picker = policy.create(endpoints, deps)
  const counts = endpoints.map(() => 0)
  const most = endpoints.map(() => 0)
  const latencies: number[] = []
  const startAt = loop.now
  const lengthMs = options.seconds * 1000
  let weighAt = startAt + 1000

  function send(): void {
    const context = pickContext()
    if (options.keys) context.hash = Math.floor(random() * 2 ** 32)
    const endpoint = picker.pick(context)!
    const index = endpoints.indexOf(endpoint)
    const sentAt = loop.now
    const { afterMs, status = 0, headers = [] } = options.reply(index, sentAt - startAt, exponential)
    const head: ResponseHead | null = status === 0 ? null : { status, headers: new HeaderList([...headers]) }
    counts[index]!++
    endpoint.active++
    most[index] = Math.max(most[index]!, endpoint.active)
    loop.after(afterMs, () => {
      endpoint.active--
      if (sentAt - startAt > lengthMs / 2) latencies.push(afterMs)
      policy.observe?.(endpoint, status === 0 || status >= 502 ? 'failure' : 'success', afterMs, head, deps)
    })
  }

  while (loop.now - startAt < lengthMs) {
    loop.advance((exponential() * 1000) / options.requestsPerSecond)
    if (loop.now >= weighAt) {
      weighAt += 1000
      if (policy.reweigh?.(endpoints, deps)) {
        for (const endpoint of endpoints) endpoint.weight = endpoint.spec.weight * endpoint.learntWeight
        picker = policy.create(endpoints, deps)
      }
    }
    send()
  }
  latencies.sort((a, b) => a - b)
  const total = counts.reduce((sum, count) => sum + count, 0)
  return {
    endpoints,
    deps,
    most,
    shares: counts.map(count => count / total),
    quantile: part => latencies[Math.floor(latencies.length * part)]!,
  }
}
