import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { node, run, temporaryFolder } from '../integration/support/child.ts'
import { obtain } from '../peers/obtain.ts'

/**
 * Connect's conformance suite: Connect, gRPC and gRPC-Web over HTTP/1.1 and HTTP/2, its own client and its own server,
 * with sidecars between.
 */

const CASES = 1_900
const BEHIND = join(import.meta.dirname, 'support/behind-sidecars.ts')
const FEATURES = `
features:
  versions: [HTTP_VERSION_1, HTTP_VERSION_2]
  protocols: [PROTOCOL_CONNECT, PROTOCOL_GRPC, PROTOCOL_GRPC_WEB]
  supportsH2c: true
  supportsTls: false
`

test.each([1, 2])(
  'all cases pass through %d sidecars',
  async sidecars => {
    const folder = temporaryFolder()
    const file = join(folder, 'features.yaml')
    writeFileSync(file, FEATURES)
    const server = await obtain('connect-referenceserver')
    const args = [
      '--mode',
      'server',
      '--conf',
      file,
      '--max-servers',
      '2',
      '--parallel',
      '4',
      '--',
      node,
      BEHIND,
      server,
      String(sidecars),
    ]
    // The programs between are none of vitest's.
    const { out, err } = await run(await obtain('connectconformance'), args, { VITEST: undefined, TMPDIR: folder })
    const said = `${out}\n${err}`
    const total = /Total cases: (\d+)\n(\d+) passed, (\d+) failed/.exec(said)
    expect(total?.slice(1).map(Number), said.slice(-4_000)).toEqual([CASES, CASES, 0])
  },
  1_200_000,
)
