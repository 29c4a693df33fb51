import * as z from 'zod'
import { duration, setting } from './values.ts'

/** `overload` of a sidecar file: what a data thread does when it runs out of heap, time or file descriptors. */

const close = 'From here on connections of callers are closed after their next answer (`connection: close`, GOAWAY).'
const shed =
  'From here on requests are refused with 503 OM: a share that grows until `refuseAt`, those of the lowest priority first.'
const refuse = 'From here on new connections of callers are closed at once, and every request is refused.'

const percent = (what: string, at: number, why: string) =>
  setting(z.number().min(0).max(100).default(at), `${what} In percent; 0: never.`, why)

const heap = z.strictObject({
  closeAt: percent(
    close,
    85,
    'idle connections are the cheapest to give up, and a heap with garbage in it stays below that',
  ),
  shedAt: percent(shed, 92, 'the garbage collector works without pause from here on; Envoy has 92 % in its example'),
  refuseAt: percent(refuse, 95, 'a thread that runs out of heap ends, and all its requests with it'),
})

const descriptors = z.strictObject({
  closeAt: percent(close, 85, 'with a descriptor for each side, room for requests under way is left'),
  shedAt: percent(shed, 92, 'an accepted request needs a connection to an endpoint'),
  refuseAt: percent(refuse, 95, 'log files, DNS and the admin port need some as well'),
})

const late = (what: string, at: 'off' | '1s' | '5s', why: string) =>
  setting(duration().default(at), `${what} \`off\`: never.`, why)

const lag = z.strictObject({
  closeAt: late(close, 'off', 'new connections cost more time than they save'),
  shedAt: late(
    shed,
    '1s',
    'callers wait a second longer for everything; a busy thread is late by milliseconds, the longest collection of garbage by some hundred',
  ),
  refuseAt: late(refuse, '5s', 'most callers have given up by then, so every answer would be work for nothing'),
})

export const overload = setting(
  z
    .union([
      z.literal('off').transform(() => null),
      z.strictObject({
        heap: setting(heap.prefault({}), "The JavaScript heap in use on a data thread, as a share of V8's limit."),
        lag: setting(lag.prefault({}), 'How late the timers of a data thread are.'),
        descriptors: setting(
          descriptors.prefault({}),
          'The file descriptors of the process, as a share of its limit (Linux).',
        ),
      }),
    ])
    .prefault({}),
  'The overload manager: what data threads do before they fail, or `off`. A threshold counts once it was reached in three looks in a row, a second apart, and no longer once three in a row were a tenth below it. See docs/overload.md.',
)

export type OverloadPolicy = z.output<typeof overload>
