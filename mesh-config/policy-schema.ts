import * as z from 'zod'
import { callsKeys } from './agent/calls.ts'
import { rolloutKeys } from './agent/rollout.ts'
import { serviceSchema } from './service.ts'

/**
 * A policy document: what one source of the agent says of a service, or with `*` of all. Its schema is a service policy
 * and the keys that are for the agent alone.
 */
export const policySchema = z.strictObject({ ...serviceSchema.shape, ...rolloutKeys, ...callsKeys })

export type PolicyOfAgent = z.output<typeof policySchema>
