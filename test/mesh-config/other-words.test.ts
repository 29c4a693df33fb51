import { expect, test } from 'vitest'
import { namedPlaces, placeOfWord } from '../../mesh-config/other-words.ts'
import { childOf, type SchemaNode, schemaOf } from '../../mesh-config/schema.ts'

test.each(
  namedPlaces.flatMap(
    place => place.match(/[a-zA-Z]+(?:\[\]|<name>|[.a-zA-Z])*(?=[ ,)]|$)/g)?.filter(path => /[.[]/.test(path)) ?? [],
  ),
)('there is %s', path => {
  let node: SchemaNode | null = schemaOf('sidecar')
  for (const step of path.replaceAll('[]', '.0').split('.'))
    node = node === null ? null : childOf(node, /^\d+$/.test(step) ? Number(step) : step)
  expect(node).not.toBeNull()
})

test.each(['outlierDetection', 'outlier_detection', 'OUTLIER-DETECTION'])('%s, however it is written', word => {
  expect(placeOfWord(word)).toBe('services.<name>.outliers')
})

test('no word of an object', () => {
  expect(placeOfWord('constructor')).toBeNull()
})
