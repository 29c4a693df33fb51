import type { Endpoint } from '../core/endpoint.ts'

/**
 * The endpoint at `index`, or the next one in order that no earlier attempt used; when all were used, the one at
 * `index`.
 */
export function avoiding(endpoints: readonly Endpoint[], index: number, tried: readonly Endpoint[]): Endpoint {
  if (tried.length !== 0) {
    const n = endpoints.length
    // With as many steps as there are tried endpoints a free one is found, if there is any.
    for (let step = 0; step <= tried.length && step < n; step++) {
      const endpoint = endpoints[(index + step) % n]!
      if (!tried.includes(endpoint)) return endpoint
    }
  }
  return endpoints[index]!
}
