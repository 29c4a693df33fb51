import { spawnSync } from 'node:child_process'
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { temporaryFolder } from '../support/temporary-folder.ts'

/** `outrigger inject` as a user types it. */

const root = join(import.meta.dirname, '../..')
const manifests = join(root, 'test/inject/manifests')

function inject(args: readonly string[], input = '') {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, 'bin/outrigger.js'), 'inject', ...args], {
    input,
    encoding: 'utf8',
    env: { ...process.env, NO_COLOR: '1' },
  })
  return { status, out: stdout, err: stderr }
}

const web = readFileSync(join(manifests, 'web-deployment.yaml'), 'utf8')

describe('outrigger inject', () => {
  test('reads standard input, writes standard output, and tells what it did', () => {
    const { status, out, err } = inject(['-f', '-'], web)
    expect(status).toBe(0)
    expect(err).toBe('Service/web     no pod\nDeployment/web  injected  native sidecar\n')
    expect(out).toContain('outrigger.io/sidecar: |')
    expect(inject(['-', '--undo'], out)).toMatchObject({ status: 0, out: web })
  })

  test('what is not injected passes byte for byte', () => {
    const text = readFileSync(join(manifests, 'not-injected.yaml'), 'utf8')
    expect(inject(['-q', '-f', '-'], text)).toEqual({ status: 0, out: text, err: '' })
    expect(inject(['-q', '-f', '-'], '')).toEqual({ status: 0, out: '', err: '' })
  })

  test('several files and folders are one stream; --in-place writes each; --diff writes none', () => {
    const folder = temporaryFolder()
    for (const file of ['single-pod.yaml', 'exported-pod.json', 'no-line-end.yaml'])
      copyFileSync(join(manifests, file), join(folder, file))
    writeFileSync(join(folder, 'notes.txt'), 'not a manifest')
    const pod = join(folder, 'single-pod.yaml')
    const before = readFileSync(pod, 'utf8')
    const stream = inject(['-f', folder, join(manifests, 'list.yaml')])
    expect(stream.status).toBe(0)
    expect(stream.out.match(/^---$/gm)).toHaveLength(3)
    expect(stream.err).toMatch(/^Deployment\/two +injected +native sidecar +.*list\.yaml:\d+$/m)
    const diff = inject(['-f', folder, '--diff'])
    expect(diff).toMatchObject({ status: 3 })
    expect(diff.out).toContain(`--- ${pod}\n`)
    expect(readFileSync(pod, 'utf8')).toBe(before)
    expect(inject(['-q', '-i', '-f', folder])).toEqual({ status: 0, out: '', err: '' })
    expect(readFileSync(pod, 'utf8')).not.toBe(before)
    expect(inject(['-f', folder, '--diff'])).toMatchObject({ status: 0, out: '' })
    expect(inject(['-q', '-i', '--undo', '-f', folder])).toMatchObject({ status: 0 })
    expect(readFileSync(pod, 'utf8')).toBe(before)
  })

  test('where one object is refused nothing is written, and the place is named', () => {
    const wrong = web.replace(
      '        app: web\n    spec',
      '        app: web\n      annotations: { outrigger.io/intercept: "on" }\n    spec',
    )
    expect(wrong).not.toBe(web)
    const { status, out, err } = inject(['-f', '-'], wrong)
    expect([status, out]).toEqual([2, ''])
    expect(err).toMatch(
      /^Deployment\/web +REFUSED +outrigger\.io\/intercept: "on" is not one of enabled, outbound, disabled +-:\d+$/m,
    )
  })

  test('a base file is what all sidecars get, and is checked', () => {
    const base = join(temporaryFolder(), 'base.yaml')
    writeFileSync(base, 'accessLog: errors\n')
    expect(inject(['-q', '--base', base, '-f', '-'], web).out).toContain('accessLog: errors\n')
    writeFileSync(base, 'accessLg: errors\n')
    const refused = inject(['--base', base, '-f', '-'], web)
    expect(refused).toMatchObject({ status: 1, out: '' })
    expect(refused.err).toContain(`${base}: unknown key "accessLg": did you mean "accessLog"?`)
  })

  test('the command line is checked', () => {
    expect(inject([])).toMatchObject({ status: 2, err: expect.stringContaining('no manifest given') })
    expect(inject(['-i', '-'])).toMatchObject({ status: 2, err: expect.stringContaining('cannot be written in place') })
    expect(inject(['-f', '/nowhere.yaml'])).toMatchObject({
      status: 1,
      err: '/nowhere.yaml: cannot be read (ENOENT)\n',
    })
    expect(inject(['-f', '-', '--sidecar', 'nativ'], web)).toMatchObject({ status: 2 })
  })
})
