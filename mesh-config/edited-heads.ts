/**
 * What edits of heads may contain: for the schema, which says it to authors, and for the proxy, which checks what its
 * agent sends. Fields are written as bytes: a character that needs two would be cut, and a line break could come of it.
 */

/**
 * These say where a message ends, belong to one connection, or are what sidecars say to each other: edited by a route
 * they would lie.
 */
const NOT_EDITED =
  /^(connection|content-length|host|http2-settings|keep-alive|outrigger-.*|proxy-connection|te|trailer|transfer-encoding|upgrade)$/i

export const FIELD_NAME = /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/
export const FIELD_VALUE = /^[\t -~\u0080-\u00ff]{0,8192}$/
/** In place of a path or of its beginning: without a query. */
export const REWRITE = /^\/[!-"$->@-~]*$/

/** Of a field name: routes may edit it. */
export function isEditable(name: string): boolean {
  return !NOT_EDITED.test(name)
}
