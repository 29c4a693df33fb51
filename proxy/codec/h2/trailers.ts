import { HeaderList } from '../../core/header-list.ts'
import { isTrailerField } from '../trailer-fields.ts'
import { PROTOCOL_ERROR, STREAM_CLOSED } from './frame.ts'
import type { Http2Head } from './head.ts'
import type { Http2Stream } from './stream.ts'
import { AFTER_END, HEAD, HEAD_AND_END, SECOND_HEAD } from './stream-state.ts'

/** A block behind the head of a message, decoded into `head`. `end`: with END_STREAM. */
export function receiveTrailers(stream: Http2Stream, head: Http2Head, end: boolean, isInTunnel: boolean): void {
  const broken = stream.ruleBrokenBy(end ? HEAD_AND_END : HEAD)
  if (broken === AFTER_END)
    return stream.wrong(STREAM_CLOSED, 'HEADERS after the end of the stream (RFC 9113 section 5.1)')
  if (isInTunnel) return stream.wrong(PROTOCOL_ERROR, 'HEADERS in a tunnel (RFC 9113 section 8.5)')
  head.finishTrailers()
  if (broken === SECOND_HEAD)
    return stream.wrong(PROTOCOL_ERROR, 'trailers that do not end the stream (RFC 9113 section 8.1)')
  if (head.problem !== '') return stream.wrong(PROTOCOL_ERROR, head.problem)
  if (head.tooLarge) return stream.wrong(PROTOCOL_ERROR, 'more fields or bytes in the trailers than are taken')
  stream.input.receiveTrailers(trailerList(head, !stream.connection.side.isClient))
}

/** A list of their own, because trailers may be kept to be sent again. */
function trailerList(head: Http2Head, isRequest: boolean): HeaderList {
  const list: string[] = []
  const { pairs, count, names } = head
  for (let i = 0; i < count; i += 2)
    if (isTrailerField(pairs[i]!, isRequest))
      list.push(names === null ? pairs[i]! : names.written[i >> 1]!, pairs[i + 1]!)
  return new HeaderList(list)
}
