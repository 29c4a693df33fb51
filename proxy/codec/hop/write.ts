import type { Carried, WrittenNames } from '../../core/message.ts'

/**
 * The field lines of a head that was carried, as its names have them. What filters took away is gone, and what they set
 * stands at the end, as in a head that came by HTTP/1.1. `host` of a request, null in a response; `coding`: the body
 * goes out chunked, or would if there were one.
 */
export function carriedLines(
  { pairs, count }: Carried,
  { written, lower }: WrittenNames,
  host: string | null,
  coding: boolean,
): string {
  let text = ''
  let next = 0
  let isCoded = !coding
  let hosts = host === null ? 1 : 0

  for (let i = 0; i <= count; i += 2) {
    const name = i === count ? '' : pairs[i]!
    let found = next
    while (found < lower.length && lower[found] !== name) found++
    // What HTTP/2 has elsewhere, where it stood; the others that are passed over were taken away. Behind what a filter
    // set there is nothing of the caller's.
    for (; next < found; next++) {
      if (lower[next] === 'host' && hosts++ === 0) text += `${written[next]!}: ${host}\r\n`
      else if (!isCoded && lower[next] === 'transfer-encoding') {
        isCoded = true
        text += `${written[next]!}: chunked\r\n`
      }
    }
    if (i === count) break
    const line = next === lower.length ? name : written[next++]!
    // It is told to each connection anew.
    if (name !== 'te') text += `${line}: ${pairs[i + 1]!}\r\n`
  }
  return text
}

/** What the lines may take at most, less the value of Host. */
export function roomForLines({ pairs, count }: Carried, { written }: WrittenNames): number {
  let room = 0
  for (let i = 0; i < count; i += 2) room += pairs[i]!.length + pairs[i + 1]!.length + 4
  return room + written.length
}
