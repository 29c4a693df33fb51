const MINUTE_MS = 60_000

/**
 * Formats `%START_TIME(...)%`: strftime's letters, and Envoy's `%3f` for milliseconds. UTC. Without an argument ISO
 * 8601 with milliseconds.
 */
export function wallTimeFormat(format: string): (at: number) => string {
  if (format === '') return isoTime()
  const pieces = format.split(/(%\d?[A-Za-z%])/)
  return at => {
    const date = new Date(at)
    return pieces.map(piece => (piece.startsWith('%') ? letter(piece, date) : piece)).join('')
  }
}

/** Everything but the seconds changes once a minute and is kept. */
export function isoTime(): (at: number) => string {
  let minute = -1
  let prefix = ''
  return at => {
    const thisMinute = Math.floor(at / MINUTE_MS)
    if (thisMinute !== minute) {
      minute = thisMinute
      prefix = new Date(minute * MINUTE_MS).toISOString().slice(0, 17)
    }
    const ms = Math.floor(at - minute * MINUTE_MS)
    const second = Math.floor(ms / 1000)
    const fraction = ms - second * 1000
    return `${prefix}${second < 10 ? '0' : ''}${second}.${fraction < 10 ? '00' : fraction < 100 ? '0' : ''}${fraction}Z`
  }
}

function letter(piece: string, date: Date): string {
  const iso = date.toISOString()
  const kind = piece.at(-1)
  const width = Number(piece.slice(1, -1) || 9)
  if (kind === 'Y') return iso.slice(0, 4)
  if (kind === 'm') return iso.slice(5, 7)
  if (kind === 'd') return iso.slice(8, 10)
  if (kind === 'H') return iso.slice(11, 13)
  if (kind === 'M') return iso.slice(14, 16)
  if (kind === 'S') return iso.slice(17, 19)
  if (kind === 'F') return iso.slice(0, 10)
  if (kind === 'T') return iso.slice(11, 19)
  if (kind === 'f') return iso.slice(20, 23).padEnd(width, '0').slice(0, width)
  if (kind === 's') return String(Math.floor(date.getTime() / 1000))
  if (kind === 'b') return date.toUTCString().slice(8, 11)
  if (kind === 'a') return date.toUTCString().slice(0, 3)
  if (kind === 'z') return '+0000'
  if (kind === 'Z') return 'UTC'
  return kind === '%' ? '%' : piece
}
