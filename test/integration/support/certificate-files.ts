import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Issued } from '../../support/certificates.ts'
import { temporaryFolder } from './child.ts'

/** A folder for certificates, which are replaced as those who rotate them do: whole, by a rename. */
export function certificateFiles() {
  const folder = temporaryFolder()
  const file = (name: string, text: string): string => {
    const path = join(folder, name)
    writeFileSync(`${path}.new`, text)
    renameSync(`${path}.new`, path)
    return path
  }
  const pair = (name: string, { cert, key }: Issued) => ({
    cert: file(`${name}.pem`, cert),
    key: file(`${name}.key`, key),
  })
  return { folder, file, pair }
}
