/**
 * 1xx heads are passed on at once, whether their reader takes them or not: all of one answer may be `limits.buffer`. A
 * server that says 102 while it works may say it for hours. What each counts beside its own bytes bounds their number
 * too.
 */
export const INTERIM_OVERHEAD = 32
