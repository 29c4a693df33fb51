import { describe, expect, test } from 'vitest'
import { explainRegex } from '../../mesh-config/regex.ts'

describe('regular expressions', () => {
  test.each(['/a/[0-9]+', '(?i)abc', '(?P<name>x)', '[*+?]', '\\d{3}', '\\Q[\\E', '', 'a|b', '^/x$'])(
    '%j is fine',
    async pattern => {
      expect(await explainRegex(pattern)).toBeNull()
    },
  )

  test.each([
    ['a(?!b)', /^RE2 has no negative lookaround.*put a route.*\(at character 2 /],
    ['(?=b)', /^RE2 has no lookaround/],
    ['x(?<!b)', /^RE2 has no negative lookaround.*character 2/],
    ['(a)\\1', /^RE2 has no backreferences.*character 4/],
    ['a*+', /possessive/],
    ['(?>a)', /atomic/],
    ['a{5000}', /^invalid repeat count in "\{5000\}": correct the expression .*character 2/],
    ['(', /^missing closing \)/],
    ['a**', /^invalid nested repetition/],
  ])('%j is refused with the reason and a way out', async (pattern, message) => {
    expect(await explainRegex(pattern)).toMatch(message)
  })
})
