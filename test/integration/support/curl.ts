import { createHash } from 'node:crypto'
import { createReadStream, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { obtain } from '../../peers/obtain.ts'
import { run, temporaryFolder } from './child.ts'

export interface CurlAnswer {
  /** 0: all went well; see "EXIT CODES" in `man curl`. */
  readonly exit: number
  readonly status: number
  /** The last head as it came, status line first. */
  readonly head: readonly string[]
  /** By lower-case name. */
  readonly headers: Readonly<Record<string, string>>
  readonly file: string
  readonly body: () => string
  readonly sha256: () => Promise<string>
  /** What `-v` says. */
  readonly log: string
}

/** Those of the machine are not meant. */
const NO_PROXIES = { http_proxy: '', HTTP_PROXY: '', all_proxy: '', ALL_PROXY: '' }

/** The real curl. Ends after 30 s at the latest. */
export async function curl(...args: string[]): Promise<CurlAnswer> {
  const folder = temporaryFolder()
  const file = join(folder, 'body')
  const heads = join(folder, 'heads')
  const program = await obtain('curl')
  const { code, err } = await run(program, ['-qsv', '--max-time', '30', '-o', file, '-D', heads, ...args], NO_PROXIES)
  const head = (textOf(heads).trimEnd().split('\r\n\r\n').at(-1) ?? '').split('\r\n')
  return {
    exit: code ?? -1,
    status: Number(head[0]?.split(' ')[1] ?? 0),
    head,
    headers: Object.fromEntries(
      head
        .slice(1)
        .map(line => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
    ),
    file,
    body: () => textOf(file),
    sha256: () => sha256Of(file),
    log: err,
  }
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'latin1')
  } catch {
    return ''
  }
}

export async function sha256Of(file: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(file, { highWaterMark: 1024 * 1024 })) hash.update(chunk as Buffer)
  return hash.digest('hex')
}
