import { envoy } from './envoy.ts'
import { haproxy } from './haproxy.ts'
import { nghttpx } from './nghttpx.ts'
import { nginx } from './nginx.ts'
import { httpProxy3, undici } from './node-peers.ts'
import { outrigger } from './outrigger.ts'
import type { ProxyProgram } from './proxy.ts'

/** In the order of tables and pictures. Adding a proxy is a file and a line. */
export const PROXIES: readonly ProxyProgram[] = [outrigger, envoy, haproxy, nginx, nghttpx, undici, httpProxy3]
