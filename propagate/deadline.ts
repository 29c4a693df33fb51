/** `grpc-timeout` and `x-outrigger-deadline`: what is left of a request's time. */

const UNITS: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 }
/** More than eight digits are not allowed in a `grpc-timeout`. */
const MOST = 99_999_999

/** Milliseconds; null: it is no such value. */
export function parseGrpcTimeout(value: string): number | null {
  const [, digits, unit] = /^(\d{1,8})([HMSmun])$/.exec(value) ?? []
  return digits === undefined ? null : Number(digits) * UNITS[unit!]!
}

/** Rounded down: no call is promised more than there is. `milliseconds` > 0. */
export function formatGrpcTimeout(milliseconds: number): string {
  const micros = Math.max(1, Math.floor(milliseconds * 1000))
  if (micros <= MOST) return `${micros}u`
  const millis = Math.floor(milliseconds)
  return millis <= MOST ? `${millis}m` : `${Math.min(MOST, Math.floor(milliseconds / 1000))}S`
}

/** Milliseconds; null: it is no such value. */
export function parseMilliseconds(value: string): number | null {
  return /^\d{1,12}$/.test(value) ? Number(value) : null
}
