import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { obtain } from '../../peers/obtain.ts'
import { run, temporaryFolder } from './child.ts'

export interface CertificateFiles {
  readonly ca: string
  readonly cert: string
  readonly key: string
}

/** A certificate authority of its own, made with openssl; it issues certificates for IP addresses. */
export async function meshCa(): Promise<{ issue(address: string): Promise<CertificateFiles> }> {
  const openssl = await obtain('openssl')
  const folder = temporaryFolder()
  const at = (name: string) => join(folder, name)
  const ssl = async (...args: string[]) => {
    const { code, err } = await run(openssl, args)
    if (code !== 0) throw new Error(`openssl ${args.join(' ')}: ${err}`)
  }
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
  await ssl(
    'req',
    '-x509',
    ...newKey,
    '-keyout',
    at('ca.key'),
    '-out',
    at('ca.pem'),
    '-days',
    '2',
    '-subj',
    '/CN=mesh CA',
  )
  return {
    async issue(address) {
      const [key, request, cert, ext] = ['key', 'csr', 'pem', 'ext'].map(end => at(`${address}.${end}`)) as [
        string,
        string,
        string,
        string,
      ]
      writeFileSync(ext, `subjectAltName=IP:${address}\nextendedKeyUsage=serverAuth,clientAuth\n`)
      await ssl('req', ...newKey, '-keyout', key, '-out', request, '-subj', '/CN=agent')
      await ssl(
        'x509',
        '-req',
        '-in',
        request,
        '-CA',
        at('ca.pem'),
        '-CAkey',
        at('ca.key'),
        '-CAcreateserial',
        '-days',
        '2',
        '-extfile',
        ext,
        '-out',
        cert,
      )
      return { ca: at('ca.pem'), cert, key }
    },
  }
}
