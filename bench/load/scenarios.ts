import type { Features } from './proxies/proxy.ts'
import { STREAM, STREAMED, UNARY } from './traffic/grpc.ts'
import { BULK, PING, PING_BYTES } from './traffic/tcp.ts'
import { NO_BODY, type TrafficName } from './traffic/traffic.ts'

/**
 * Closed loop: so many connections, each sending its next request when the answer is there. Measures CPU and
 * throughput.
 */
export interface LoadScenario {
  readonly kind: 'load'
  readonly name: string
  readonly title: string
  readonly traffic: TrafficName
  readonly connections: number
  /** Requests at a time on each connection. */
  readonly streams: number
  readonly path: string
  readonly body: Buffer
  /** The size of a right answer's body. */
  readonly answerBytes: number
  /** What figures are told for: a request, or a message of which one request brings many. */
  readonly unit: { readonly name: string; readonly perRequest: number }
  readonly quick: boolean
}

/** Requests sent by the clock, whether or not the last is answered. Measures latency. */
export interface RateScenario {
  readonly kind: 'rate'
  readonly name: string
  readonly title: string
  readonly connections: number
  readonly path: string
  readonly perSecond: number
  readonly quick: boolean
}

/** The same load with features on and off. */
export interface FeatureScenario {
  readonly kind: 'features'
  readonly name: string
  readonly title: string
  readonly connections: number
  readonly path: string
  readonly proxies: readonly string[]
  readonly variants: readonly Features[]
  readonly quick: boolean
}

/** What a freshly started proxy holds in memory at one stage of its life. */
export interface MemoryScenario {
  readonly kind: 'memory'
  readonly name: string
  readonly title: string
  readonly traffic: TrafficName
  readonly stage: 'idle' | 'connections' | 'bodies' | 'loaded'
  readonly quick: boolean
}

export type Scenario = LoadScenario | RateScenario | FeatureScenario | MemoryScenario

const REQUEST = { name: 'request', perRequest: 1 } as const
const GET = { kind: 'load', traffic: 'http1', streams: 1, body: NO_BODY, unit: REQUEST, quick: true } as const
const H2 = { ...GET, traffic: 'h2' } as const
const TCP = { ...GET, traffic: 'tcp', answerBytes: PING_BYTES } as const
const SMALL = { path: '/', answerBytes: 3 } as const
export const SMALL_GET = { ...GET, ...SMALL } as const

/** Of each kind in the order of tables. */
export const SCENARIOS: readonly Scenario[] = [
  { ...SMALL_GET, name: 'small-16', title: 'small GET, 16 connections', connections: 16, quick: false },
  { ...SMALL_GET, name: 'small-64', title: 'small GET, 64 connections', connections: 64 },
  { ...GET, name: '16k', title: 'GET 16 KiB, 64 connections', connections: 64, path: '/16k', answerBytes: 16_384 },
  { ...GET, name: '1m', title: 'GET 1 MiB, 16 connections', connections: 16, path: '/1m', answerBytes: 1_048_576 },
  {
    ...GET,
    name: 'post-16k',
    title: 'POST 16 KiB, 64 connections',
    connections: 64,
    path: '/post',
    body: Buffer.alloc(16_384, 'x'),
    answerBytes: 3,
    quick: false,
  },
  {
    ...H2,
    name: 'h2-8x16',
    title: 'HTTP/2, small GET, 8 x 16 streams',
    connections: 8,
    streams: 16,
    path: '/small',
    answerBytes: 3,
  },
  {
    ...H2,
    name: 'h2-64x1',
    title: 'HTTP/2, small GET, 64 x 1 streams',
    connections: 64,
    path: '/small',
    answerBytes: 3,
  },
  {
    ...H2,
    name: 'h2-1m',
    title: 'HTTP/2, GET 1 MiB, 4 x 4 streams',
    connections: 4,
    streams: 4,
    path: '/1m',
    answerBytes: 1_048_576,
  },
  {
    ...H2,
    ...UNARY,
    traffic: 'grpc',
    name: 'grpc-unary',
    title: 'gRPC, unary, 8 x 16 streams',
    connections: 8,
    streams: 16,
    answerBytes: 25,
  },
  {
    ...H2,
    ...STREAM,
    traffic: 'grpc',
    name: 'grpc-stream',
    title: 'gRPC, messages of 1 KiB, 8 x 2 streams',
    connections: 8,
    streams: 2,
    answerBytes: STREAMED.messages * (STREAMED.bytes + 11),
    unit: { name: 'message', perRequest: STREAMED.messages },
  },
  {
    ...TCP,
    name: 'tcp-bulk',
    title: 'TCP, MiB one way, 8 connections',
    connections: 8,
    path: BULK,
    unit: { name: 'MiB', perRequest: 1 },
  },
  {
    ...TCP,
    name: 'tcp-ping',
    title: 'TCP, 64 bytes there and back, 64 conns',
    connections: 64,
    path: PING,
    unit: { name: 'message', perRequest: 1 },
  },
  {
    kind: 'rate',
    name: 'rate',
    title: 'small GET at 5,000 requests/s',
    connections: 64,
    path: '/',
    perSecond: 5000,
    quick: false,
  },
  {
    kind: 'features',
    name: 'features',
    title: 'small GET, 64 connections, features off and on',
    connections: 64,
    path: '/',
    proxies: ['outrigger', 'envoy'],
    variants: ['bare', 'standard', 'traces-1', 'traces-100', 'full'],
    quick: false,
  },
  { kind: 'memory', traffic: 'http1', name: 'rss-idle', title: 'idle', stage: 'idle', quick: true },
  {
    kind: 'memory',
    traffic: 'http1',
    name: 'rss-1000',
    title: '1,000 idle connections',
    stage: 'connections',
    quick: true,
  },
  {
    kind: 'memory',
    traffic: 'h2',
    name: 'rss-h2-10000',
    title: '10,000 idle HTTP/2 connections',
    stage: 'connections',
    quick: false,
  },
  {
    kind: 'memory',
    traffic: 'http1',
    name: 'rss-64m',
    title: '64 x 1 MiB in flight, slow readers',
    stage: 'bodies',
    quick: true,
  },
  { kind: 'memory', traffic: 'http1', name: 'rss-loaded', title: 'right after load', stage: 'loaded', quick: false },
]

export const IDLE_CONNECTIONS: Readonly<Record<TrafficName, number>> = {
  http1: 1000,
  h2: 10_000,
  grpc: 10_000,
  tcp: 1000,
}
export const SLOW_READERS = 64
