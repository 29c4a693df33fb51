/** Base 25 ms, doubled each time, at most 250 ms, full jitter (Envoy's default). `retry`: 1 for the first. */
export function backoffMs(retry: number, random: () => number): number {
  return random() * Math.min(25 * 2 ** (retry - 1), 250)
}
