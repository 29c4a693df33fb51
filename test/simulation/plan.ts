import type { Random } from '../../proxy/core/clock.ts'
import { between, pick } from '../support/random.ts'
import { endpointSpec, listenerSpec, type ServiceOverrides, serviceSpec, snapshotOf } from '../support/specs.ts'

/** What a seed decides before anything runs: a policy that makes things happen within seconds. */

export const ENDPOINTS = Array.from({ length: 6 }, (_, i) => `10.0.0.${i + 1}:80`)

export function policy(random: Random): ServiceOverrides {
  // One of the two must end a request that is never answered.
  const [requestMs, perTryMs] = pick(random, [
    [300, 0],
    [2000, 0],
    [2000, 100],
    [0, 100],
  ] as const)
  return {
    balancer: pick(random, ['round_robin', 'random', 'least_request']),
    timeouts: {
      connectMs: pick(random, [50, 200]),
      requestMs,
      perTryMs,
      idleMs: pick(random, [400, 5000]),
    },
    retries: {
      on: pick(random, [
        [],
        ['connect-failure', 'refused-stream', 'reset-before-response'],
        ['connect-failure', 'reset-before-response', 'per-try-timeout', 'gateway-error', '5xx'],
      ]),
      attempts: between(random, 1, 4),
      replayBytes: pick(random, [0, 1000, 65_536]),
      budget: { percent: pick(random, [20, 100]), minPerSecond: pick(random, [1, 100]) },
    },
    limits: {
      connections: pick(random, [1, 3, 8, 10_000]),
      pending: pick(random, [0, 2, 10_000]),
      requests: pick(random, [3, 10_000]),
      bufferBytes: pick(random, [64 * 1024, 1024 * 1024]),
    },
    outliers: {
      consecutiveGatewayFailures: pick(random, [0, 2, 5]),
      baseEjectionMs: 300,
      maxEjectionMs: 1000,
      maxEjectedPercent: pick(random, [30, 50, 100]),
    },
  }
}

export function snapshot(random: Random, overrides: ServiceOverrides, count = between(random, 1, ENDPOINTS.length)) {
  const endpoints = ENDPOINTS.filter(() => random() < 0.7)
    .slice(0, count)
    .map((address, i) =>
      endpointSpec(address, {
        weight: between(random, 1, 3),
        health: i > 0 && random() < 0.1 ? 'draining' : 'passing',
      }),
    )
  const listener = listenerSpec({
    service: 'orders',
    timeouts: { headMs: 500, bodyMs: 400, idleMs: pick(random, [600, 5000]) },
    limits: { connections: pick(random, [6, 10_000]), bufferBytes: pick(random, [64 * 1024, 1024 * 1024]) },
  })
  return snapshotOf(
    [serviceSpec('orders', endpoints.length === 0 ? [ENDPOINTS[0]!] : endpoints, overrides)],
    [listener],
  )
}

/** The body of a request or an answer, known from its name alone: so that neither end needs to remember it. */
export function bodyOf(name: string, size: number): Buffer {
  const body = Buffer.alloc(size)
  let state = 0
  for (const letter of name) state = (state * 31 + letter.charCodeAt(0)) >>> 0
  for (let i = 0; i < size; i++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    body[i] = 97 + ((state >>> 16) % 26)
  }
  return body
}

/** Cut into pieces of any size, of which a chunked body is made, or which come one after the other. */
export function pieces(random: Random, body: Buffer): Buffer[] {
  const parts: Buffer[] = []
  for (let at = 0; at < body.length; ) {
    const length = Math.min(body.length - at, random() < 0.3 ? between(random, 1, 50) : between(random, 1, 40_000))
    parts.push(body.subarray(at, at + length))
    at += length
  }
  return parts
}

export function chunk(piece: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from('\r\n')])
}

export function bodySize(random: Random): number {
  return pick(random, [0, 1, 20, 1000, 5000, 70_000, 300_000])
}
