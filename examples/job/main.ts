import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { constants, tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { styleText } from 'node:util'
import { shift, shifted } from '../support/example.ts'
import { root } from '../support/processes.ts'

// A job three times: each with a sidecar of its own that comes before it and goes after it.

const folder = import.meta.dirname
const work = mkdtempSync(join(tmpdir(), 'outrigger-job-'))
process.on('exit', () => rmSync(work, { recursive: true, force: true }))
const file = join(folder, 'sidecar.yaml')
const used = shift === 0 ? file : shifted(file, join(work, 'sidecar.yaml'))
const job = [process.execPath, join(folder, 'job.ts')]

interface Ended {
  readonly code: number
  readonly out: string
}

/** Only what the job itself says is shown: what the sidecar says goes to standard error. */
function runJob(command: readonly string[]): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const args = [join(root, 'bin/outrigger.js'), 'run', '-c', used, '--', ...command]
    const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] })
    let out = ''
    let err = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (err += text))
    child.on('error', reject)
    child.on('close', (code, signal) => {
      if (out === '') process.stdout.write(err)
      resolve({ code: code ?? 128 + constants.signals[signal ?? 'SIGKILL'], out })
    })
  })
}

const orders = createServer((_request, response) => response.end('42 orders\n'))
orders.listen(18001 + shift, '127.0.0.1', async () => {
  console.log(styleText('bold', `node bin/outrigger.js run -c ${relative(root, file)} -- node job.ts`))
  const cases = [
    ['a job that succeeds', job, 0],
    ['one that fails', [...job, '1'], 1],
    ['one that is killed', ['sh', '-c', 'echo "working ..."; kill -9 $$'], 137],
  ] as const
  let allGood = true
  for (const [what, command, expected] of cases) {
    const { code, out } = await runJob(command)
    console.log(`${what}: ${out.trim()}, exit code ${code}`)
    allGood &&= code === expected && /42 orders|working/.test(out)
  }
  if (!allGood) console.error('\nthis is not what the README says')
  process.exit(allGood ? 0 : 1)
})
