// An application of a chain: each calls the next by its name, through its sidecar, and knows nothing of traces. Its
// answer is that of the last one; `/fail` fails there.
import { createServer, request } from 'node:http'

const { PORT, SIDECAR, NEXT = '' } = process.env

createServer((asked, answer) => {
  if (NEXT === '') {
    answer.statusCode = asked.url === '/fail' ? 500 : 200
    answer.end('the last one')
    return
  }
  request({ host: '127.0.0.1', port: Number(SIDECAR), path: asked.url, headers: { host: NEXT } }, response => {
    answer.statusCode = response.statusCode ?? 502
    response.pipe(answer)
  })
    .on('error', error => {
      answer.statusCode = 502
      answer.end(error.message)
    })
    .end()
}).listen(Number(PORT), '127.0.0.1', () => console.log('listens'))
