import { FIELD_NAME, FIELD_VALUE, isEditable } from '../../mesh-config/edited-heads.ts'
import type { HeadEditsSpec, HeaderEditsSpec } from '../../mesh-config/snapshot.ts'
import { fields, listOf, matching, type Shape, type ShapeOf } from './shape.ts'

const fieldName: Shape = (name, at, wrong) => {
  if (typeof name !== 'string' || !FIELD_NAME.test(name) || !isEditable(name)) wrong(at, 'no header that may be edited')
}

const fieldValue = matching(FIELD_VALUE, 'a header value')

const line: Shape = (pair, at, wrong) => {
  if (!Array.isArray(pair) || pair.length !== 2) return wrong(at, 'no name and value')
  fieldName(pair[0], `${at}[0]`, wrong)
  fieldValue(pair[1], `${at}[1]`, wrong)
}

export const lines = listOf(line, 0, 1_000)

const edits: ShapeOf<HeadEditsSpec> = { remove: listOf(fieldName, 0, 1_000), add: lines, set: lines }

export const headers: ShapeOf<HeaderEditsSpec> = { request: fields(edits), response: fields(edits) }
