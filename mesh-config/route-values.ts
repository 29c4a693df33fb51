import * as z from 'zod'
import { anyText, exactlyOne, setting } from './values.ts'

/** How the value of a header or of a query parameter must be. */

const valueForms = z
  .strictObject({
    exact: setting(anyText('a value').optional(), 'The whole value.'),
    prefix: setting(anyText('a value').optional(), 'The beginning of the value.'),
    suffix: setting(anyText('a value').optional(), 'The end of the value.'),
    contains: setting(anyText('a value').optional(), 'A part of the value.'),
    regex: setting(anyText('a regular expression').optional(), 'An RE2 expression that the whole value must match.'),
    present: setting(z.boolean().optional(), 'true: present, with any value. false: absent.'),
    invert: setting(
      z.boolean().default(false),
      'It matches when the value is there and does not match the form beside this. With `present`: the opposite.',
      'as in Envoy: what is absent matches no form of a value, inverted or not',
    ),
  })
  .superRefine(({ invert: _invert, ...forms }, context) => exactlyOne(forms, context))

const valueMatch = z.union([anyText('a value').transform(exact => ({ exact })), valueForms])
/** Or several that must match. */
export const valueMatches = z.union([valueMatch, z.array(valueForms).min(1).max(16)])
