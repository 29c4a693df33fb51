/**
 * The ports of a sidecar that takes over the traffic of a host or a pod, when no file says otherwise. The listeners of
 * an injected sidecar, the redirect rules and the examples all use these.
 */
export const usualPorts = {
  /** Outbound connections are redirected here, as in Istio. */
  outbound: 15001,
  /** Inbound connections are redirected here. */
  inbound: 15006,
  /** Probes and scrapes from other machines. */
  probes: 15020,
  dns: 15053,
} as const

/** The user and the group id of the sidecar, whose own connections are never redirected. */
export const sidecarUser = 1337
