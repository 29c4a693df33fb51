/** What every HTTP/2 connection begins with (RFC 9113 section 3.4). */
export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')

/** For protocol detection: are these bytes, as far as they go, those of the preface? */
export function isPreface(b: Buffer, length: number): 'yes' | 'no' | 'more' {
  const end = Math.min(length, PREFACE.length)
  for (let i = 0; i < end; i++) if (b[i] !== PREFACE[i]) return 'no'
  return end === PREFACE.length ? 'yes' : 'more'
}
