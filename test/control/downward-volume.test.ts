import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { signatureOf, watchFiles } from '../../proxy/control/watch-files.ts'
import { systemClock } from '../../proxy/system/clock.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

/**
 * As the kubelet writes downwardAPI, ConfigMap and Secret volumes: a file is a link to `..data/<file>`, and `..data` a
 * link to a folder with a time in its name, replaced by a rename.
 */
function volume(folder: string) {
  let count = 0
  const write = (text: string) => {
    const version = `..2026_11_30_12_00_00.${count++}`
    mkdirSync(join(folder, version))
    writeFileSync(join(folder, version, 'sidecar.yaml'), text)
    symlinkSync(version, join(folder, '..data_tmp'))
    renameSync(join(folder, '..data_tmp'), join(folder, '..data'))
    if (count > 1) rmSync(join(folder, `..2026_11_30_12_00_00.${count - 2}`), { recursive: true })
  }
  write('first')
  symlinkSync('..data/sidecar.yaml', join(folder, 'sidecar.yaml'))
  return write
}

test('a change of an annotation is seen in a downwardAPI volume, each time', async () => {
  const folder = temporaryFolder()
  const write = volume(folder)
  const file = join(folder, 'sidecar.yaml')
  let changes = 0
  const stop = watchFiles([file], await signatureOf([file]), () => changes++, systemClock)
  // Sizes and contents may be the same, and the time of a file too.
  for (const [index, text] of ['other', 'third', 'third'].entries()) {
    write(text)
    await expect.poll(() => changes).toBe(index + 1)
  }
  stop()
})
