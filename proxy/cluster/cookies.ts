/** Longer values are ignored: no cookie of ours, and none of a browser, is as long (RFC 6265 section 6.1). */
const MAX_VALUE = 4096

/**
 * The value of a cookie in a Cookie header (RFC 6265 section 5.4), without quotes; of several the first. Empty: there
 * is none.
 */
export function readCookie(header: string | undefined, name: string): string {
  if (header === undefined) return ''
  for (let at = 0; at < header.length; ) {
    let end = header.indexOf(';', at)
    if (end < 0) end = header.length
    while (at < end && isSpace(header.charCodeAt(at))) at++
    const equals = at + name.length
    if (equals < end && header.charCodeAt(equals) === 0x3d && header.startsWith(name, at))
      return valueBetween(header, equals + 1, end)
    at = end + 1
  }
  return ''
}

function valueBetween(header: string, from: number, to: number): string {
  let start = from
  let end = to
  while (start < end && isSpace(header.charCodeAt(start))) start++
  while (start < end && isSpace(header.charCodeAt(end - 1))) end--
  if (end - start >= 2 && header.charCodeAt(start) === 0x22 && header.charCodeAt(end - 1) === 0x22) {
    start++
    end--
  }
  return end - start > MAX_VALUE ? '' : header.slice(start, end)
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x09
}

export interface CookieSettings {
  readonly name: string
  /** 0: as long as the browser session. */
  readonly ttlMs: number
  readonly path: string
}

/** A Set-Cookie value that scripts and other sites cannot read. */
export function writeCookie({ name, ttlMs, path }: CookieSettings, value: string): string {
  const life = ttlMs === 0 ? '' : `; Max-Age=${Math.ceil(ttlMs / 1000)}`
  return `${name}=${value}${life}; Path=${path}; HttpOnly; SameSite=Lax`
}
