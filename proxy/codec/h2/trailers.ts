import { HeaderList } from '../../core/header-list.ts'
import { isAllowedInTrailers } from './fields.ts'
import type { Http2Head } from './head.ts'

/** A list of their own, because trailers may be kept to be sent again. */
export function trailerList(head: Http2Head): HeaderList {
  const list: string[] = []
  const { pairs, count } = head
  for (let i = 0; i < count; i += 2) if (isAllowedInTrailers(pairs[i]!)) list.push(pairs[i]!, pairs[i + 1]!)
  return new HeaderList(list)
}
