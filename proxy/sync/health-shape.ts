import { FIELD_NAME, FIELD_VALUE, isEditable } from '../../mesh-config/edited-heads.ts'
import type { GrpcCheckSpec, HealthSpec, HttpCheckSpec, TcpCheckSpec } from '../../mesh-config/snapshot.ts'
import {
  either,
  fields,
  flag,
  integer,
  listOf,
  matching,
  number,
  oneOf,
  orNull,
  type Shape,
  type ShapeOf,
  text,
} from './shape.ts'

/** The shape of mesh-config/health-spec.ts. */

const MOST_MS = 2_147_483_647
const MOST_BYTES = 65_536

const header: Shape = (pair, at, wrong) => {
  const [name, value] = Array.isArray(pair) && pair.length === 2 ? pair : []
  if (typeof name !== 'string' || !FIELD_NAME.test(name) || !isEditable(name)) wrong(at, 'no header of a check')
  if (typeof value !== 'string' || !FIELD_VALUE.test(value)) wrong(at, 'no value of a header')
}
const headers = listOf(header, 0, 100)
const status: Shape = (range, at, wrong) => {
  const isRange = Array.isArray(range) && range.length === 2 && range.every(Number.isInteger)
  if (!isRange) wrong(at, 'no range of statuses')
}
const host = matching(/^[\x21-\x7e]{0,255}$/, 'a host')
const hex = matching(new RegExp(`^([0-9a-f]{2}){0,${MOST_BYTES / 8}}$`), 'bytes in hexadecimal')

const http: ShapeOf<HttpCheckSpec> = {
  kind: oneOf('http'),
  protocol: oneOf('http/1.1', 'h2'),
  method: matching(/^[A-Z]{1,20}$/, 'a method'),
  path: matching(/^\/[\x21-\x7e]*$/, 'a path'),
  host,
  headers,
  expect: listOf(status, 1, 100),
  retriable: listOf(status, 0, 100),
  body: orNull(fields({ kind: oneOf('contains', 'regex'), value: text })),
  maxResponseMs: number(0, MOST_MS),
}
const tcp: ShapeOf<TcpCheckSpec> = { kind: oneOf('tcp'), send: hex, receive: listOf(hex, 0, 16) }
const grpc: ShapeOf<GrpcCheckSpec> = {
  kind: oneOf('grpc'),
  service: matching(/^[\x21-\x7e]{0,100}$/, 'a gRPC service'),
  authority: host,
  headers,
}

const health: ShapeOf<HealthSpec> = {
  check: either(fields(http), fields(tcp), fields(grpc)),
  port: integer(0, 65_535),
  intervalMs: number(100, MOST_MS),
  noTrafficMs: number(100, MOST_MS),
  jitterPercent: number(0, 100),
  timeoutMs: number(1, MOST_MS),
  unhealthyAfter: integer(1, 100),
  healthyAfter: integer(1, 100),
  reuse: flag,
  secured: flag,
}

export const healthShape: Shape = fields(health)
