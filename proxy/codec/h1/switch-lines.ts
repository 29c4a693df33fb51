import type { ResponseHead } from '../../core/message.ts'
import { CONNECT, WEBSOCKET } from '../../core/tunnel.ts'
import { acceptOf } from '../websocket.ts'
import { Http1Head } from './head.ts'
import { upgradeLines } from './serialize.ts'

/** The fields by which an answer opens the tunnel that `request` asks for. */
export function switchLines(request: Http1Head, response: ResponseHead): string {
  const { upgrade } = request
  if (upgrade === CONNECT) return ''
  if (upgrade !== WEBSOCKET || response instanceof Http1Head) return upgradeLines(upgrade)
  // An endpoint of another protocol knows no key: the caller's is answered here (RFC 8441 section 5.1).
  response.headers.delete('sec-websocket-accept')
  return `${upgradeLines(upgrade)}sec-websocket-accept: ${acceptOf(request.get('sec-websocket-key') ?? '')}\r\n`
}
