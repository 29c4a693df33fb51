/** Callers that have a label of their own, for each data thread. A mesh has fewer; who makes names up gets no further. */
export const MOST_SOURCES = 100
const MOST_LENGTH = 63
const NAME = /^[a-z0-9]([a-z0-9_.-]*[a-z0-9])?$/

/** No sidecar has said who calls. */
export const UNKNOWN = 'unknown'
/** Of a sidecar whose file has no `service`: other sidecars are not told this. */
export const UNNAMED = 'unnamed'
/** There are more callers than labels, or it is no name of a service. */
export const OTHER = 'other'

/**
 * The names of peers as labels: our own, and those that calling sidecars say. What a caller says is bounded, and so is
 * how many are known at a time; a name is free again when its last series has expired.
 */
export interface PeerNames {
  /** The service of this sidecar. */
  readonly self: string
  /** The label for what a caller says; each call needs one of `release`. */
  admit(said: string): string
  release(name: string): void
}

export interface OwnPeerNames extends PeerNames {
  self: string
}

export function peerNames(): OwnPeerNames {
  const users = new Map<string, number>()
  return {
    self: '',
    admit(said) {
      if (said === '') return UNKNOWN
      if (said === UNKNOWN || said === OTHER) return OTHER
      const count = users.get(said) ?? 0
      if (count === 0 && (users.size >= MOST_SOURCES || said.length > MOST_LENGTH || !NAME.test(said))) return OTHER
      users.set(said, count + 1)
      return said
    },
    release(name) {
      const count = users.get(name)
      if (count === undefined) return
      if (count === 1) users.delete(name)
      else users.set(name, count - 1)
    },
  }
}
