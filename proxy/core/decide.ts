import type { Exchange } from './exchange.ts'

/** It is told what becomes of an exchange: once, at once or later. */
export interface Decided {
  /** `exchange.route` and `exchange.cluster` say where to. */
  go(): void
  /** With `exchange.reply`, or where that is null, with `exchange.failure` and `exchange.detail`. */
  refuse(): void
}

/** Decides on an exchange that has just begun (forward/decide.ts). */
export type Decide = (exchange: Exchange, owner: Decided) => void
