/** RFC 7541 appendix A, in order: the first is index 1. */
const rows: readonly (readonly [name: string, value: string])[] = [
  [':authority', ''],
  [':method', 'GET'],
  [':method', 'POST'],
  [':path', '/'],
  [':path', '/index.html'],
  [':scheme', 'http'],
  [':scheme', 'https'],
  [':status', '200'],
  [':status', '204'],
  [':status', '206'],
  [':status', '304'],
  [':status', '400'],
  [':status', '404'],
  [':status', '500'],
  ['accept-charset', ''],
  ['accept-encoding', 'gzip, deflate'],
  ['accept-language', ''],
  ['accept-ranges', ''],
  ['accept', ''],
  ['access-control-allow-origin', ''],
  ['age', ''],
  ['allow', ''],
  ['authorization', ''],
  ['cache-control', ''],
  ['content-disposition', ''],
  ['content-encoding', ''],
  ['content-language', ''],
  ['content-length', ''],
  ['content-location', ''],
  ['content-range', ''],
  ['content-type', ''],
  ['cookie', ''],
  ['date', ''],
  ['etag', ''],
  ['expect', ''],
  ['expires', ''],
  ['from', ''],
  ['host', ''],
  ['if-match', ''],
  ['if-modified-since', ''],
  ['if-none-match', ''],
  ['if-range', ''],
  ['if-unmodified-since', ''],
  ['last-modified', ''],
  ['link', ''],
  ['location', ''],
  ['max-forwards', ''],
  ['proxy-authenticate', ''],
  ['proxy-authorization', ''],
  ['range', ''],
  ['referer', ''],
  ['refresh', ''],
  ['retry-after', ''],
  ['server', ''],
  ['set-cookie', ''],
  ['strict-transport-security', ''],
  ['transfer-encoding', ''],
  ['user-agent', ''],
  ['vary', ''],
  ['via', ''],
  ['www-authenticate', ''],
]

/** By index; 0 is none. */
export const STATIC_NAMES: readonly string[] = ['', ...rows.map(([name]) => name)]
export const STATIC_VALUES: readonly string[] = ['', ...rows.map(([, value]) => value)]
export const STATIC_COUNT = rows.length

/** The first index of a name; absent: none. */
export const STATIC_NAME_INDEX: ReadonlyMap<string, number> = new Map(
  rows.map(([name], i): [string, number] => [name, i + 1]).reverse(),
)

/** For names that the table has with values: value to index. */
export const STATIC_VALUE_INDEX: ReadonlyMap<string, ReadonlyMap<string, number>> = valueIndex()

function valueIndex(): Map<string, Map<string, number>> {
  const index = new Map<string, Map<string, number>>()
  rows.forEach(([name, value], i) => {
    if (value === '') return
    const values = index.get(name) ?? new Map<string, number>()
    index.set(name, values.set(value, i + 1))
  })
  return index
}
