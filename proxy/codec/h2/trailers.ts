import { HeaderList } from '../../core/header-list.ts'
import { isTrailerField } from '../trailer-fields.ts'
import type { Http2Head } from './head.ts'

/** A list of their own, because trailers may be kept to be sent again. */
export function trailerList(head: Http2Head, isRequest: boolean): HeaderList {
  const list: string[] = []
  const { pairs, count, names } = head
  for (let i = 0; i < count; i += 2)
    if (isTrailerField(pairs[i]!, isRequest))
      list.push(names === null ? pairs[i]! : names.written[i >> 1]!, pairs[i + 1]!)
  return new HeaderList(list)
}
