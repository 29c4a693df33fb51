import type { RequestHead } from '../../core/message.ts'
import { trimOws } from '../bytes.ts'
import { trailersOfTe } from '../te.ts'
import { fieldKind, nameKind } from './fields.ts'
import { NO_ERROR } from './frame.ts'
import { type HeadLimits, Http2Head } from './head.ts'
import { isOfOneConnection } from './head-writer.ts'
import { PeerSettings, SETTING_BYTES } from './settings.ts'

/** More settings than there are names for would be a joke. */
const MAX_SETTINGS = 32

export const SWITCHING = Buffer.from('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n')

/** A request of HTTP/1.1 that begins an HTTP/2 connection, as stream 1. */
export interface Upgraded {
  readonly head: Http2Head
  /** The payload of the SETTINGS frame that the caller sent ahead. */
  readonly settings: Buffer
}

/**
 * An offer of HTTP/2 by `Upgrade: h2c` (RFC 7540 section 3.2); null: it is not as it should be, and is ignored, as RFC
 * 9110 section 7.8 allows. The caller of this sees to it that the request is of HTTP/1.1, without a body, and that
 * nothing came behind it.
 */
export function readOffer(request: RequestHead, limits: HeadLimits): Upgraded | null {
  const { headers } = request
  // A field that came twice is joined with a comma, and so it is no valid one.
  if (request.method === 'CONNECT' || headers.get('upgrade') !== 'h2c') return null
  const named = (headers.get('connection') ?? '').toLowerCase().split(',')
  const isNamed = (name: string) => named.some(option => trimOws(option) === name)
  if (!isNamed('upgrade') || !isNamed('http2-settings')) return null
  const settings = settingsOf(headers.get('http2-settings') ?? '')
  if (settings === null) return null
  const head = headOf(request, limits)
  return head.problem === '' && !head.tooLarge ? { head, settings } : null
}

/** base64url without padding, whole settings, and none that a SETTINGS frame may not have. */
function settingsOf(text: string): Buffer | null {
  if (!/^[A-Za-z0-9_-]+$/.test(text)) return null
  const settings = Buffer.from(text, 'base64url')
  if (
    settings.toString('base64url') !== text ||
    settings.length % SETTING_BYTES !== 0 ||
    settings.length > MAX_SETTINGS * SETTING_BYTES
  )
    return null
  return new PeerSettings().read(settings, 0, settings.length, false) === NO_ERROR ? settings : null
}

/** By the same rules as a head that came in frames. */
function headOf({ method, authority, path, headers }: RequestHead, limits: HeadLimits): Http2Head {
  const head = new Http2Head(limits)
  const field = (name: string, value: string) => {
    const bytes = Buffer.from(value, 'latin1')
    head.field(name, value, fieldKind(nameKind(name), value, bytes, 0, bytes.length), false)
  }
  field(':method', method)
  field(':scheme', 'http')
  field(':authority', authority)
  field(':path', path)
  headers.forEach((name, value) => {
    const lower = name.toLowerCase()
    if (lower === 'te') {
      if (trailersOfTe(value)) field(lower, 'trailers')
    } else if (!isOfOneConnection(lower)) field(lower, value)
  })
  head.finishRequest()
  return head
}
