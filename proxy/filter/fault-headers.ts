import type { Headers } from '../core/message.ts'

/** What a caller asks for; 0: nothing of that kind. */
export interface Asked {
  readonly delayMs: number
  readonly delayPercent: number
  readonly status: number
  readonly grpcStatus: number
  readonly abortPercent: number
  readonly bytesPerSecond: number
  readonly throttlePercent: number
}

/** No caller makes its request wait for longer. */
const LONGEST_DELAY_MS = 3_600_000
const MOST_KIB = 1024 ** 2

/** Of Envoy's fault filter. What is no number in its range asks for nothing. */
export function askedOf(headers: Headers): Asked {
  return {
    delayMs: numberOf(headers, 'x-envoy-fault-delay-request', 1, LONGEST_DELAY_MS, 0),
    delayPercent: percentOf(headers, 'x-envoy-fault-delay-request-percentage'),
    status: numberOf(headers, 'x-envoy-fault-abort-request', 200, 599, 0),
    grpcStatus: numberOf(headers, 'x-envoy-fault-abort-grpc-request', 1, 16, 0),
    abortPercent: percentOf(headers, 'x-envoy-fault-abort-request-percentage'),
    bytesPerSecond: 1024 * numberOf(headers, 'x-envoy-fault-throughput-response', 1, MOST_KIB, 0),
    throttlePercent: percentOf(headers, 'x-envoy-fault-throughput-response-percentage'),
  }
}

function percentOf(headers: Headers, name: string): number {
  return numberOf(headers, name, 0, 100, 100)
}

function numberOf(headers: Headers, name: string, least: number, most: number, otherwise: number): number {
  const text = headers.get(name)
  if (text === undefined || !/^\d{1,9}$/.test(text)) return otherwise
  const number = Number(text)
  return number >= least && number <= most ? number : otherwise
}
