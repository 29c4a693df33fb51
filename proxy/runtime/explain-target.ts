import type { Question } from '../core/channel.ts'

export type ExplainQuestion = Extract<Question, { what: 'explain' }>

/** Where a question leads, as far as its text says. */
export interface Target {
  /** `http`, `https`, `tcp`, `tls`, or empty for a path alone. */
  readonly scheme: string
  readonly authority: string
  readonly path: string
}

/** `http://orders/api`, `orders/api`, `/api`, `tcp://redis`; or what is wrong with it. */
export function targetOf({ url, headers }: ExplainQuestion): Target | string {
  const match =
    url === ''
      ? null
      : /^(?:(https?|tcp|tls):\/\/)?([A-Za-z0-9._[\]:-]+)?((?:\/[^#\s]*)?(?:\?[^#\s]*)?)(?:#.*)?$/i.exec(url)
  const isPath = match?.[1] === undefined && match?.[2] === undefined
  if (
    match === null ||
    (match[1] !== undefined && match[2] === undefined) ||
    /^[a-z+]+:\/\//i.test(match[1] === undefined ? url : '')
  )
    return `"${url}" is neither a URL nor a path: write http://orders/api, or /api for a listener of one service, tcp://redis for a service that speaks TCP, tls://name for a server name`
  const scheme = match[1]?.toLowerCase() ?? (isPath ? '' : 'http')
  const path = match[3] ?? ''
  return {
    scheme,
    authority: match[2] ?? headers.find(([name]) => name.toLowerCase() === 'host')?.[1] ?? '',
    path: path.startsWith('/') ? path : `/${path}`,
  }
}
