/** TE says that its sender takes trailers; the rest of it is about codings of HTTP/1.1 (RFC 9113 section 8.2.2). */
export function trailersOfTe(value: string): boolean {
  return /(^|[,\s])trailers($|[,;\s])/i.test(value)
}
