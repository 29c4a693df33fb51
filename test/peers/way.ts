/** One way of getting a peer that is not on the machine. */
export interface Way {
  /** What it does, as a user could type it. */
  readonly describe: string
  /** The binary, if an earlier run left it in `folder`; else null. */
  cached(folder: string): string | null
  /**
   * Gets it; resolves to the absolute path of the binary, or throws an error whose message says why it could not.
   * `tell` takes how far it is, in a few words.
   */
  obtain(folder: string, tell: (state: string) => void): Promise<string>
}
