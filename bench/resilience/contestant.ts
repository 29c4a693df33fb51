/** A proxy that runs with the policy of scenarios.ts before some instances. */
export interface Contestant extends AsyncDisposable {
  readonly port: number
  isEjected(address: string): Promise<boolean>
  /** Requests that it has sent to instances, retries included. */
  offered(): Promise<number>
}

export type Start = (addresses: readonly string[]) => Promise<Contestant>
