import { formatDuration, parseDuration } from '../../mesh-config/duration.ts'
import type { ByHandAnswer } from '../core/channel.ts'
import { type Ask, askAll } from './ask.ts'
import { eitherAnswer, errorAnswer } from './page.ts'
import type { Page, PageAnswer, PageRequest } from './page-types.ts'

const USUAL = '5m'
const SHORTEST_MS = 1_000
const LONGEST_MS = 24 * 3_600_000

/** An operator takes an endpoint out of use for a time, or puts it back. */
export function byHandPages(ask: Ask): readonly Page[] {
  return [
    {
      path: '/endpoints/eject',
      methods: ['POST'],
      shows: 'an endpoint gets no requests for a while; refused where nothing else of a set is left, but for force',
      parameters: '?service=orders&endpoint=10.0.0.3:8080&for=5m&force=true',
      answer(request) {
        const text = request.query.get('for') ?? USUAL
        const forMs = parseDuration(text)
        if (forMs === null || forMs < SHORTEST_MS || forMs > LONGEST_MS)
          return errorAnswer(request, 400, `for=${text} is no time from 1s to 24h: write for=30s, for=5m or for=1h`)
        const force = request.query.get('force') === 'true'
        return answer(ask, request, forMs, force, `ejected for ${formatDuration(forMs)}`)
      },
    },
    {
      path: '/endpoints/admit',
      methods: ['POST'],
      shows: 'an ejected endpoint is in use again at once, with slow start',
      parameters: '?service=orders&endpoint=10.0.0.3:8080',
      answer: request => answer(ask, request, null, false, 'admitted'),
    },
  ]
}

async function answer(
  ask: Ask,
  request: PageRequest,
  ejectForMs: number | null,
  force: boolean,
  done: string,
): Promise<PageAnswer> {
  const { query } = request
  const [service, endpoint] = [query.get('service') ?? '', query.get('endpoint') ?? '']
  if (service === '' || endpoint === '')
    return errorAnswer(request, 400, 'say which: ?service=orders&endpoint=10.0.0.3:8080, as /endpoints has them')
  const asked = await askAll<ByHandAnswer>(ask, { what: 'by-hand', service, endpoint, ejectForMs, force }, request)
  if ('status' in asked) return asked
  // The first to do it has done it for all.
  const answers = asked.answers.map(each => each.answer)
  const best = answers.find(each => each.done) ?? answers[0]!
  if (!best.done) return errorAnswer(request, 409, best.why)
  return eitherAnswer(
    { ...request, format: request.format ?? 'text' },
    'endpoints',
    { service, endpoint, done },
    () => `${endpoint} of ${service} is ${done}\n`,
  )
}
