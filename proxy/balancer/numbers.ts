import type { Endpoint } from '../core/endpoint.ts'

/** One number for each endpoint. A loop, because `Float64Array.from` uses an iterator, which is ten times slower. */
export function numbersOf(
  endpoints: readonly Endpoint[],
  numberOf: (endpoint: Endpoint, index: number) => number,
): Float64Array {
  const numbers = new Float64Array(endpoints.length)
  for (let i = 0; i < numbers.length; i++) numbers[i] = numberOf(endpoints[i]!, i)
  return numbers
}

/** The same for 32 bits. */
export function bitsOf(
  endpoints: readonly Endpoint[],
  bitsOfOne: (endpoint: Endpoint, index: number) => number,
): Uint32Array {
  const bits = new Uint32Array(endpoints.length)
  for (let i = 0; i < bits.length; i++) bits[i] = bitsOfOne(endpoints[i]!, i)
  return bits
}

export function weightsOf(endpoints: readonly Endpoint[]): Float64Array {
  return numbersOf(endpoints, ({ weight }) => weight)
}

export function sumOf(numbers: Float64Array | Uint32Array): number {
  let sum = 0
  for (let i = 0; i < numbers.length; i++) sum += numbers[i]!
  return sum
}

export function areAlike(numbers: Float64Array): boolean {
  for (let i = 1; i < numbers.length; i++) if (numbers[i] !== numbers[0]) return false
  return true
}
