import * as z from 'zod'
import { consulAccess } from '../consul-access.ts'

/** The `consul` of an agent file. */
export const consul = z.strictObject(
  consulAccess('key:read for the documents, key:write for `outrigger policy put`, and service:read and node:read'),
)

export type ConsulAccess = z.output<typeof consul>
