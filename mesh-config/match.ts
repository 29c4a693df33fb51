import * as z from 'zod'
import { valueMatches } from './route-values.ts'
import { anyText, exactlyOne, headerName, setting, text } from './values.ts'

/** Which requests: the `match` of a route, and of what applies to some requests only. */

export const pathForms = {
  exact: setting(text(/^\/[^?#\s]*$/, 'a path', 'a path that begins with / and has no query'), 'The whole path.'),
  prefix: setting(
    text(/^\/[^?#\s]*$/, 'a path', 'a path that begins with / and has no query'),
    'The beginning of the path.',
  ),
  regex: setting(anyText('a regular expression'), 'An RE2 expression that the whole path must match.'),
}

const path = z.union([
  text(/^\/[^?#\s*]*(\*)?$/, 'a path', '/orders for one path, /orders/* for all below it, or { regex: ... }').transform(
    shorthand => (shorthand.endsWith('*') ? { prefix: shorthand.slice(0, -1) } : { exact: shorthand }),
  ),
  z
    .strictObject({
      exact: pathForms.exact.optional(),
      prefix: pathForms.prefix.optional(),
      regex: pathForms.regex.optional(),
      ignoreCase: setting(
        z.boolean().default(false),
        'Small and capital letters of the path are the same.',
        'paths are case-sensitive (RFC 9110 section 4.2.3)',
      ),
    })
    .superRefine(({ ignoreCase, ...forms }, context) => {
      exactlyOne(forms, context)
      if (ignoreCase && forms.regex !== undefined)
        context.addIssue({
          code: 'custom',
          path: ['ignoreCase'],
          params: { wrong: { what: 'an expression says itself which case counts', fix: 'write (?i) in front of it' } },
        })
    }),
])

export const match = z.strictObject({
  path: setting(
    path.optional(),
    'Which paths, without the query: `/orders` for one, `/orders/*` for all below, or exact, prefix, regex. Without it: every path.',
  ),
  methods: setting(
    z
      .array(text(/^[A-Z][A-Z0-9_-]*$/, 'a method', 'it in capitals, such as GET', input => input.toUpperCase()))
      .optional(),
    'Which methods. Without it: every method.',
  ),
  headers: setting(
    z.record(headerName, valueMatches).optional(),
    'Headers that must match, all of them; a text means the exact value, a list that all of it match.',
  ),
  query: setting(
    z.record(z.string(), valueMatches).optional(),
    'Query parameters that must match, all of them; a text means the exact value, a list that all of it match.',
  ),
})
