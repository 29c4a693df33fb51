import * as z from 'zod'
import { text } from './values.ts'

/** Statuses of HTTP as users write them: `404`, `5xx`, `400-428`. */
export const statuses = (fewest = 1) =>
  z
    .array(
      z.union([
        z.int().min(0).max(999),
        text(
          /^([1-5]xx|[1-5]\d\d|[1-5]\d\d-[1-5]\d\d)$/,
          'a status',
          'a status (404), a class (5xx) or a range (400-428)',
        ),
      ]),
    )
    .min(fewest)

/** Its first and its last status. */
export function statusRange(text: string): readonly [from: number, to: number] {
  if (text.endsWith('xx')) return [Number(text[0]) * 100, Number(text[0]) * 100 + 99]
  const [from = '', to = from] = text.split('-')
  return [Number(from), Number(to)]
}
