import { randomBytes } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { curl, sha256Of } from './support/curl.ts'
import { type Nginx, startNginx } from './support/nginx.ts'
import { freePort } from './support/ports.ts'
import { type Proxy, startProxy } from './support/proxy.ts'
import { rawServer } from './support/raw.ts'
import { until } from './support/until.ts'

// The running program between the curl and the nginx of the distribution. Bodies are random bytes, and compared by their hashes.

const SIZES = { '16k': 16 * 1024, '1m': 1024 * 1024, '64m': 64 * 1024 * 1024 } as const
const sizes = Object.keys(SIZES) as (keyof typeof SIZES)[]
const hashes: Record<string, string> = {}
let nginx: Nginx
let proxy: Proxy
let url: string

beforeAll(async () => {
  const locations = `
    location /put/ { dav_methods PUT DELETE; create_full_put_path on; }
    location /chunked/ { alias $WWW/; sub_filter_once off; sub_filter_types *; sub_filter 'a text that is in no random file' ''; }
    location /gzip/ { alias $WWW/; gzip on; gzip_types *; gzip_min_length 1; }
    location = /no-content { return 204; }
    location = /hello { add_header X-CaSe-KePt "One  Two"; add_header Zebra 1; add_header Apple 2; return 200 "hello\\n"; }
    location = /large-head { add_header X-Large-1 ${'a'.repeat(4000)}; add_header X-Large-2 ${'b'.repeat(4000)}; return 200 "$http_x_large"; }`
  nginx = await startNginx({ server: locations })
  for (const size of sizes) {
    writeFileSync(join(nginx.www, size), randomBytes(SIZES[size]))
    hashes[size] = await sha256Of(join(nginx.www, size))
  }
  writeFileSync(join(nginx.www, 'text'), 'outrigger '.repeat(2000))
  mkdirSync(join(nginx.www, 'put'))
  const port = await freePort()
  proxy = await startProxy({ outbound: [{ listen: `127.0.0.1:${port}` }], discovery: { endpoints: { localhost: [nginx.address] } } })
  url = `http://localhost:${port}`
})
afterAll(() => Promise.all([proxy.stop(), nginx.stop()]))
