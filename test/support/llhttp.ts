import { createRequire } from 'node:module'

/**
 * Node's own parser of requests (llhttp, strict), as a second opinion on what the proxy sends: if it reads other
 * requests than we meant, that is smuggling.
 */
export interface SecondOpinion {
  readonly targets: readonly string[]
  readonly bodies: readonly string[]
  readonly whole: number
  readonly error: string
}

interface Parser {
  initialize(type: number, resource: object): void
  execute(bytes: Buffer): number | Error
  [callback: number]: (...args: never[]) => unknown
}

interface ParserClass {
  new (): Parser
  readonly REQUEST: number
  readonly kOnHeaders: number
  readonly kOnHeadersComplete: number
  readonly kOnBody: number
  readonly kOnMessageComplete: number
}

const { HTTPParser } = createRequire(import.meta.url)('_http_common') as { HTTPParser: ParserClass }

export function askLlhttp(bytes: Buffer): SecondOpinion {
  const targets: string[] = []
  const bodies: string[] = []
  let whole = 0
  const parser = new HTTPParser()
  parser.initialize(HTTPParser.REQUEST, {})
  // A long head, and any after trailers, comes in parts: then the target is in this one.
  let early = ''
  parser[HTTPParser.kOnHeaders] = (...args: unknown[]) => {
    early += String(args[1] ?? '')
  }
  parser[HTTPParser.kOnHeadersComplete] = (...args: unknown[]) => {
    targets.push(String(args[4] ?? early))
    early = ''
    bodies.push('')
  }
  parser[HTTPParser.kOnBody] = (...args: unknown[]) => {
    bodies[bodies.length - 1] += (args[0] as Buffer).toString('latin1')
  }
  parser[HTTPParser.kOnMessageComplete] = () => {
    whole++
    early = ''
  }
  const result = parser.execute(bytes)
  return { targets, bodies, whole, error: result instanceof Error ? result.message : '' }
}
