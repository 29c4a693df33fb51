import * as z from 'zod'
import { limits, timeouts } from '../call.ts'
import { outliers } from '../outliers.ts'
import { retryOverrides } from '../retries.ts'
import { serviceSchema } from '../service.ts'
import { overrides, setting, text } from '../values.ts'

const { retries: mostRetries, perEndpoint, ...ofLimits } = limits

const calls = z.strictObject({
  protocol: setting(serviceSchema.shape.protocol.unwrap().optional(), 'As `protocol` of the called service.'),
  timeouts: setting(z.strictObject(overrides(timeouts)).optional(), 'As `timeouts` of the called service.'),
  retries: setting(z.strictObject(retryOverrides).optional(), 'As `retries` of the called service.'),
  limits: setting(
    z.strictObject({ ...overrides(ofLimits), retries: mostRetries, perEndpoint }).optional(),
    'As `limits` of the called service.',
  ),
  outliers: setting(z.strictObject(overrides(outliers)).optional(), 'As `outliers` of the called service.'),
})

const called = text(
  /^(\*|[a-z0-9]([a-z0-9_.-]*[a-z0-9])?)$/,
  'a service name',
  'small letters, digits, - _ and ., or "*"',
)

/** Keys of a policy document for the agent only: how the service calls others, over what those say themselves. */
export const callsKeys = {
  calls: setting(
    z.record(called, calls).optional(),
    'How this service calls others, by their names, `"*"` for all: counts over the policies of those, for its own sidecars only.',
  ),
}
