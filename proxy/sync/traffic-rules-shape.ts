import { FIELD_NAME } from '../../mesh-config/edited-heads.ts'
import type { FaultSpec, MirrorSpec, RateLimitSpec } from '../../mesh-config/snapshot.ts'
import { match } from './match-shape.ts'
import {
  BIG,
  either,
  fields,
  flag,
  integer,
  listOf,
  matching,
  number,
  oneOf,
  optional,
  orNull,
  type Shape,
  type ShapeOf,
  text,
} from './shape.ts'

/** The shapes of mesh-config/traffic-rules-spec.ts. */

const rateLimitKey = either(
  fields({ kind: oneOf('header'), name: matching(FIELD_NAME, 'a header name') }),
  fields({ kind: oneOf('identity') }),
  fields({ kind: oneOf('address'), ipv4Bits: integer(0, 32), ipv6Bits: integer(0, 128) }),
)

export const rateLimit: ShapeOf<RateLimitSpec> = {
  name: matching(/^[A-Za-z0-9][A-Za-z0-9_./#-]{0,79}$/, 'a name'),
  count: integer(1, 1_000_000),
  perSeconds: integer(1, 86_400),
  burst: integer(1, 1_000_000),
  by: listOf(rateLimitKey, 0, 4),
  match: optional(fields(match)),
  mode: oneOf('enforce', 'shadow'),
  keys: integer(1, 1_000_000),
  tell: oneOf('refused', 'always', 'never'),
}

const share = number(0, 100)

/** 0: as the gRPC status says. */
const abortStatus: Shape = (status, at, wrong) => {
  if (status !== 0) integer(400, 599)(status, at, wrong)
}

export const fault: ShapeOf<FaultSpec> = {
  name: matching(/^[A-Za-z0-9][A-Za-z0-9_./#-]{0,79}$/, 'a name'),
  match: optional(fields(match)),
  delay: optional(fields({ minMs: number(0, 86_400_000), maxMs: number(0, 86_400_000), percent: share })),
  abort: optional(fields({ status: abortStatus, grpcStatus: integer(0, 16), percent: share })),
  throttle: optional(fields({ bytesPerSecond: integer(1, 1024 ** 3), percent: share })),
  fromTime: optional(integer(0, BIG)),
  untilTime: optional(integer(0, BIG)),
  byHeaders: flag,
  active: integer(1, 1_000_000),
}

export const mirror: ShapeOf<MirrorSpec> = {
  service: text,
  subset: orNull(text),
  percent: share,
  bodyBytes: integer(0, 1024 ** 2),
  active: integer(1, 100_000),
  timeoutMs: number(1, 86_400_000),
}
