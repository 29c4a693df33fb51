// What the three services have in common. They run on Outrigger's image, which has Node.
import { createServer, get } from 'node:http'

const pod = process.env.HOSTNAME

/** Answers with what `make` says, and ends in order: a program that is process 1 gets no help with SIGTERM. */
export function serve(make) {
  const server = createServer(async (request, response) => {
    response.setHeader('content-type', 'application/json')
    if (request.url === '/healthz') return response.end('{}\n')
    try {
      response.end(`${JSON.stringify({ from: pod, ...(await make(request)) })}\n`)
    } catch (error) {
      response.statusCode = 502
      response.end(`${JSON.stringify({ from: pod, error: error.message })}\n`)
    }
  })
  server.listen(8080)
  process.once('SIGTERM', () => server.close(() => process.exit(0)))
}

/** Calls another service through the sidecar of this pod, which knows where it is. The trace goes on with the call. */
export function call(service, path, { headers: { traceparent } }) {
  const headers = { host: service, ...(traceparent === undefined ? {} : { traceparent }) }
  return new Promise((resolve, reject) => {
    const request = get({ host: '127.0.0.1', port: 15001, path, headers, timeout: 5000 }, async response => {
      const body = (await response.toArray()).join('')
      if (response.statusCode === 200) resolve(JSON.parse(body))
      else reject(new Error(`${service} answers ${response.statusCode}: ${body.trim()}`))
    })
    request.on('timeout', () => request.destroy(new Error(`${service} does not answer`)))
    request.on('error', reject)
  })
}
