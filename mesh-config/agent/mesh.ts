import * as z from 'zod'

/** The `mesh` of an agent file: the other agents. */
export const mesh = z.strictObject({})
