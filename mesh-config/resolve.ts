import * as z from 'zod'
import { parseFilter } from './filter-expression.ts'
import { consulName } from './register.ts'
import { label, setting, text } from './values.ts'
import type { Check } from './wrong.ts'

/** The `resolve` of a service policy (service.ts): where its endpoints are, and how they are divided. */

const checkFilter: Check = input => {
  if (typeof input !== 'string')
    return { what: '{value} is not a filter', fix: 'write an expression such as Service.Meta.version == v2' }
  const parsed = parseFilter(input)
  return parsed.ok ? null : { what: `this filter cannot be read: ${parsed.what}`, fix: parsed.fix }
}

const filter = () =>
  z
    .custom<string>()
    .superRefine((input, context) => {
      const wrong = input === undefined ? null : checkFilter(input)
      if (wrong !== null) context.addIssue({ code: 'custom', params: { wrong } })
    })
    .meta({ type: 'string', kind: 'filter', examples: ['Service.Meta.version == v2'] })

const onlyPassing = setting(
  z.boolean().default(false),
  'Endpoints whose checks warn are not in it.',
  'as in Consul: a warning says that an instance works',
)

const subset = z.strictObject({
  filter: setting(
    filter().optional(),
    'An expression of Consul (go-bexpr) over the endpoint: `Service.Meta.version == v2 and "primary" in Service.Tags`. Without it: every endpoint.',
  ),
  onlyPassing,
})

const target = z.strictObject({
  service: setting(consulName().optional(), 'Another service, by its name in the registry. Without it: this one.'),
  datacenter: setting(label('a datacenter').optional(), 'Without it: that of this service.'),
  subset: setting(label('a subset name').optional(), 'A subset of this service. Without it: the one that fails over.'),
  filter: setting(filter().optional(), 'Of another service: only endpoints that match.'),
  onlyPassing,
})

const subsetOrRest = () => text(/^(\*|[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?)$/, 'a subset name', 'v2, or "*"')

export const resolve = z.strictObject({
  service: setting(consulName().optional(), 'Its name in the registry. Without it: as discovery says.'),
  datacenter: setting(label('a datacenter').optional(), 'The datacenter in Consul. Without it: as discovery says.'),
  default: setting(
    label('a subset name').optional(),
    'The subset for requests that name none. Without it: all endpoints.',
  ),
  subsets: setting(
    z.record(label('a subset name'), subset).prefault({}),
    'Subsets by an expression, beside those of `subsets`; of one name, both must match.',
  ),
  failover: setting(
    z.record(subsetOrRest(), z.array(target).max(32)).prefault({}),
    'Where requests go when a subset has no healthy endpoint, in this order; by its name, `"*"` for the whole service and for subsets without an entry. An empty list: nowhere.',
  ),
})

export type ResolvePolicy = z.output<typeof resolve>
