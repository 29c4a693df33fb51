/** What ended a stream before its time. */
export const BY_RESET = 0
export const BY_LOSS = 1
/** The peer broke a rule. */
export const BY_RULE = 2
export const BY_US = 3
export type Cause = typeof BY_RESET | typeof BY_LOSS | typeof BY_RULE | typeof BY_US
