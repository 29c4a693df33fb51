/** What the supervisor says of itself, as the log of the sidecar has it. */
export interface RunLog {
  info(message: string, facts?: Readonly<Record<string, string | number>>): void
  warn(message: string, facts?: Readonly<Record<string, string | number>>): void
  error(message: string, facts?: Readonly<Record<string, string | number>>): void
}
