import * as z from 'zod'
import { FIELD_VALUE, isEditable } from './edited-heads.ts'
import { headerName, setting, text } from './values.ts'

/** Edits of heads, of a route and of its destinations (route.ts). */

const editable = headerName.refine(name => isEditable(String(name)), {
  params: {
    wrong: {
      what: '{value} says where a message ends or belongs to one connection, so no route may edit it',
      fix: 'remove it here',
    },
  },
})

const value = () => text(FIELD_VALUE, 'a header value', 'a text without line breaks')

const edits = {
  set: setting(
    z.record(editable, value()).optional(),
    'Takes the place of every header of that name, or is added where there is none.',
  ),
  add: setting(z.record(editable, value()).optional(), 'One more header, whatever there is of that name.'),
  remove: setting(z.array(editable).max(100).optional(), 'Names of headers to leave out: before anything is added.'),
}

export const headerEdits = z.strictObject({
  request: setting(z.strictObject(edits).optional(), 'Of the request, as the endpoint gets it.'),
  response: setting(z.strictObject(edits).optional(), "Of the response, as the caller gets it; the proxy's own too."),
})

export type HeaderEditsPolicy = z.output<typeof headerEdits>
