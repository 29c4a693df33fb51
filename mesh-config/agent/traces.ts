import * as z from 'zod'

/** The `traces` of an agent file: which spans are taken, and where they go. */
export const traces = z.strictObject({})
