// Starts the proxy once and ends it, so that what V8 compiles at a start is in the image (Node keeps one cache for each
// user). It runs inside the build, where NODE_COMPILE_CACHE names a folder that this user may write.
import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'

const file = `/tmp/warm-${process.getuid()}.yaml`
writeFileSync(
  file,
  'admin: 127.0.0.1:0\nstate: "off"\nagent: "off"\noutbound: [{ listen: 127.0.0.1:0 }]\ndrain: { delay: 0s }\n',
)
const child = spawn(process.execPath, ['/opt/outrigger/bin/outrigger.js', 'proxy', '-c', file])
let said = ''
for (const stream of [child.stdout, child.stderr]) {
  stream.on('data', chunk => {
    said += chunk
    if (said.includes('ready after') && !child.killed) child.kill()
  })
}
child.on('close', code => {
  if (code !== 0 || !said.includes('ready after')) process.stderr.write(`the proxy did not start:\n${said}\n`)
  process.exit(code ?? 1)
})
