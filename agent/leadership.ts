/** Who runs what must run once in a mesh. */
export interface Leadership {
  /** This agent. False as soon as it is not sure any more. */
  isLeader(): boolean
}

/** Without Consul each agent is a mesh of its own. */
export const alone: Leadership = { isLeader: () => true }
