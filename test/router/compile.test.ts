import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { MatchSpec } from '../../mesh-config/snapshot.ts'
import { HeaderList } from '../../proxy/core/header-list.ts'
import type { RequestHead } from '../../proxy/core/message.ts'
import type { Route } from '../../proxy/core/route.ts'
import { compileRoutes } from '../../proxy/router/compile.ts'
import { matchSpec } from '../support/specs.ts'
import '../support/seed.ts'

/** Stands in for RE2: what is tested here is who is asked, and with what. */
const regex = (pattern: string) => (text: string) => new RegExp(`^(?:${pattern})$`).test(text)

function routes(...matches: Partial<MatchSpec>[]) {
  const table = compileRoutes(
    matches.map((match, i) => ({ match: matchSpec(match), route: { name: `${i}` } as Route })),
    regex,
  )
  return (path: string, headers: string[] = [], method = 'GET') => table(request(path, headers, method))?.name ?? null
}

function request(path: string, headers: string[] = [], method = 'GET'): RequestHead {
  return { method, scheme: 'http', authority: 'orders', path, upgrade: '', headers: new HeaderList(headers) }
}

const exact = (value: string) => ({ path: { kind: 'exact', value } }) as const
const prefix = (value: string) => ({ path: { kind: 'prefix', value } }) as const

test('an inverted match is of another value that is there', () => {
  const find = routes({ headers: [{ name: 'x-kind', kind: 'prefix', value: 'a', invert: true }] })
  expect([find('/', ['x-kind', 'b']), find('/', ['x-kind', 'ab']), find('/')]).toEqual(['0', null, null])
})

test('a header match on Host looks at the authority, which HTTP/2 has instead of the field', () => {
  const find = routes({ headers: [{ name: 'host', kind: 'exact', value: 'orders' }] })
  expect(find('/')).toBe('0')
  expect(find('/', ['host', 'other'])).toBe('0')
  expect(routes({ headers: [{ name: 'host', kind: 'present', value: '' }] })('/')).toBe('0')
  expect(routes({ headers: [{ name: 'host', kind: 'exact', value: 'other' }] })('/', ['host', 'other'])).toBeNull()
})

describe('paths', () => {
  test('the first match in the order written wins, whatever its kind', () => {
    const find = routes(prefix('/a/b'), exact('/a/b'), { path: { kind: 'regex', value: '/a/.*' } }, prefix('/'))
    expect(find('/a/b')).toBe('0')
    expect(find('/a/bc')).toBe('0')
    expect(find('/a/c')).toBe('2')
    expect(find('/b')).toBe('3')
  })

  test('in any case, where that is said, in the order written', () => {
    const any = { ignoreCase: true } as const
    const find = routes(
      { path: { kind: 'exact', value: '/Exact', ...any } },
      { path: { kind: 'prefix', value: '/Api/V1', ...any } },
      exact('/EXACT'),
      prefix('/api/'),
    )
    expect([find('/exact'), find('/EXACT'), find('/exact?x'), find('/exacts')]).toEqual(['0', '0', '0', null])
    expect([find('/aPI/v1/x'), find('/api/v2'), find('/API/v2')]).toEqual(['1', '3', null])
  })

  test('an exact path is the whole path, a prefix any beginning, both without the query', () => {
    const find = routes(exact('/a'), prefix('/b/'), prefix('/c'))
    expect([find('/a'), find('/a?x=1'), find('/a?'), find('/a/'), find('/ab')]).toEqual(['0', '0', '0', null, null])
    expect([find('/b/'), find('/b/x?y'), find('/b'), find('/b?/')]).toEqual(['1', '1', null, null])
    expect([find('/c'), find('/cd'), find('/c/d')]).toEqual(['2', '2', '2'])
  })

  test('are compared as they are written: nothing is decoded, case counts', () => {
    const find = routes(exact('/a'), prefix('/b/'))
    expect([find('/%61'), find('/A'), find('/x/../a'), find('//a')]).toEqual([null, null, null, null])
  })

  test('a query that holds a path does not count as one', () => {
    expect(routes(prefix('/admin/'))('/?/admin/')).toBeNull()
  })

  test('the asterisk form matches only what matches anything', () => {
    expect(routes(exact('/a'), prefix('/'))('*', [], 'OPTIONS')).toBe('1')
    expect(routes(exact('/a'))('*', [], 'OPTIONS')).toBeNull()
  })

  test('no routes at all', () => {
    expect(routes()('/')).toBeNull()
  })

  test('are found as one would by looking at each in order', () => {
    const segment = fc.constantFrom('a', 'b', 'ab', '')
    const path = fc.array(segment, { minLength: 1, maxLength: 4 }).map(parts => `/${parts.join('/')}`)
    const match = fc.oneof(
      path.map(exact),
      path.map(prefix),
      path.map(value => prefix(`${value}/`)),
      path.map(value => ({ path: { kind: 'regex' as const, value: value.replace('b', '.') } })),
      fc.constant({ ...prefix('/'), methods: ['POST'] }),
    )
    fc.assert(
      fc.property(
        fc.array(match, { maxLength: 12 }),
        fc.array(path, { minLength: 1, maxLength: 10 }),
        fc.constantFrom('GET', 'POST'),
        (matches, paths, method) => {
          const find = routes(...matches)
          for (const target of paths) {
            const found = matches.findIndex(({ path: { kind, value }, ...rest }) => {
              if ('methods' in rest && !(rest.methods as readonly string[]).includes(method)) return false
              return kind === 'exact'
                ? target === value
                : kind === 'prefix'
                  ? target.startsWith(value)
                  : regex(value)(target)
            })
            expect(find(`${target}?q`, [], method)).toBe(found < 0 ? null : `${found}`)
          }
        },
      ),
      { numRuns: 500 },
    )
  })
})

describe('what else must match', () => {
  test('methods, with their case', () => {
    const find = routes({ methods: ['GET', 'HEAD'] })
    expect([find('/', [], 'GET'), find('/', [], 'HEAD'), find('/', [], 'POST'), find('/', [], 'get')]).toEqual([
      '0',
      '0',
      null,
      null,
    ])
  })

  test.each([
    ['exact', 'v', ['v'], ['', 'V', 'vv', undefined]],
    ['prefix', 'v', ['v', 'vv'], ['', 'xv', undefined]],
    ['suffix', 'v', ['v', 'xv'], ['', 'vx', undefined]],
    ['contains', 'v', ['v', 'xvx'], ['', 'x', undefined]],
    ['regex', 'v+', ['v', 'vv'], ['', 'xv', undefined]],
    ['present', '', ['', 'x'], [undefined]],
    ['absent', '', [undefined], ['', 'x']],
  ] as const)('a header, a query parameter: %s %j', (kind, value, yes, no) => {
    const header = routes({ headers: [{ name: 'x-h', kind, value }] })
    const query = routes({ query: [{ name: 'q', kind, value }] })
    const found = (given: string | undefined) => [
      header('/', given === undefined ? [] : ['X-H', given]),
      query(given === undefined ? '/?other=1' : `/?other=1&q=${encodeURIComponent(given)}`),
    ]
    for (const given of yes) expect(found(given), `${given}`).toEqual(['0', '0'])
    for (const given of no) expect(found(given), `${given}`).toEqual([null, null])
  })

  test('all of it at once', () => {
    const find = routes({
      ...prefix('/api/'),
      methods: ['GET'],
      headers: [
        { name: 'x-a', kind: 'exact', value: '1' },
        { name: 'x-b', kind: 'present', value: '' },
      ],
      query: [{ name: 'q', kind: 'exact', value: '1' }],
    })
    const all = ['x-a', '1', 'x-b', '']
    expect(find('/api/?q=1', all)).toBe('0')
    expect(find('/api/?q=1', all.slice(2))).toBeNull()
    expect(find('/api/?q=1', all.slice(0, 2))).toBeNull()
    expect(find('/api/?q=2', all)).toBeNull()
    expect(find('/apis?q=1', all)).toBeNull()
    expect(find('/api/?q=1', all, 'PUT')).toBeNull()
  })

  test('a field that came several times is looked at as one', () => {
    const find = routes({ headers: [{ name: 'x-h', kind: 'exact', value: 'a, b' }] })
    expect(find('/', ['x-h', 'a', 'X-H', 'b'])).toBe('0')
  })

  test('query parameters are decoded, and the first of a name counts', () => {
    const find = routes({ query: [{ name: 'a b', kind: 'exact', value: 'x&y' }] })
    expect(find('/?a+b=x%26y')).toBe('0')
    expect(find('/?a%20b=x%26y&a+b=z')).toBe('0')
    expect(find('/?a+b=z&a+b=x%26y')).toBeNull()
  })
})
