/** What the failures of a sidecar mean to the one before it; the application is its own. */
const words: Readonly<Record<string, string>> = {
  'connect-refused': 'nothing listens at its application',
  'connect-timeout': 'its application takes no connection in time',
  'connect-failed': 'its application cannot be reached',
  'no-healthy-upstream': 'it has no endpoint of its application',
  'pool-overflow': 'all connections to its application are in use',
  'pending-timeout': 'no connection to its application became free in time',
}

/** The detail of an attempt that a sidecar ended because nothing reached its application. */
export function toldBy(endpoint: string, failure: string): string {
  const what = Object.hasOwn(words, failure) ? words[failure] : 'nothing reached its application'
  return `the sidecar at ${endpoint} answered: ${what} (${failure})`
}
