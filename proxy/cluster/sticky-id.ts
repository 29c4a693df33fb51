/** Characters of base64url. 132 bits do not collide. */
const LENGTH = 22

/**
 * Makes the values of sticky cookies: HMAC-SHA256 of the endpoint's `address:port`, under a key that is HMAC-SHA256
 * of `sticky session of <service>` under the secret. Without the secret an address cannot be found by trying all
 * addresses. The same secret gives the same cookies in every sidecar, data thread and version.
 */
export function stickyIds(secret: string, service: string): (endpoint: string) => string {
  // Loaded on first use: a sidecar without sticky sessions does not need it.
  const { createHmac } = process.getBuiltinModule('node:crypto')
  const key = createHmac('sha256', secret).update(`sticky session of ${service}`).digest()
  return endpoint => createHmac('sha256', key).update(endpoint).digest('base64url').slice(0, LENGTH)
}
