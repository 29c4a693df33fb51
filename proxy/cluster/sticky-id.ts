/** Characters of base64url: 132 bits, so that two endpoints never have the same. */
const LENGTH = 22

/**
 * What the cookie of a sticky session holds of an endpoint: HMAC-SHA256 of its address, under a key of the service that HMAC-SHA256 makes of the secret. Without the
 * secret it tells nothing of the address, also not by trying all there are. The same secret gives the same cookies in every sidecar, data thread and version.
 */
export function stickyIds(secret: string, service: string): (endpoint: string) => string {
  // Loaded only where a service has sticky sessions.
  const { createHmac } = process.getBuiltinModule('node:crypto')
  const key = createHmac('sha256', secret).update(`sticky session of ${service}`).digest()
  return endpoint => createHmac('sha256', key).update(endpoint).digest('base64url').slice(0, LENGTH)
}
