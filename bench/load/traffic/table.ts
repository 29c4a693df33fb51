import { grpc } from './grpc.ts'
import { h2 } from './h2.ts'
import { http1 } from './http1.ts'
import { tcp } from './tcp.ts'
import type { Traffic, TrafficName } from './traffic.ts'

/** Measured in this order. */
export const TRAFFIC: Readonly<Record<TrafficName, Traffic>> = { http1, h2, grpc, tcp }
