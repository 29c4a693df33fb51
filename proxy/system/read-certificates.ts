import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { createSecureContext } from 'node:tls'
import type { PemTexts } from '../../mesh-config/snapshot.ts'

/** A bundle of all public certificate authorities has a tenth of this. */
const MAX_BYTES = 4 * 1024 * 1024
const PEM = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g

/** What is in the files of one service, or for people why they are not usable. */
export async function readCertificates({
  ca,
  cert,
  key,
}: Record<'ca' | 'cert' | 'key', string | null>): Promise<PemTexts | string> {
  try {
    const texts = {
      ca: ca === null ? null : await read(ca),
      cert: cert === null ? null : await read(cert),
      key: key === null ? null : await read(key),
    }
    if (texts.ca !== null) certificatesIn(texts.ca, ca!)
    if (texts.cert !== null && texts.key !== null) checkPair(texts.cert, cert!, texts.key, key!)
    // What else OpenSSL may have against them.
    createSecureContext({
      ...(texts.ca === null ? {} : { ca: texts.ca }),
      ...(texts.cert === null || texts.key === null ? {} : { cert: texts.cert, key: texts.key }),
    })
    return texts
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

async function read(file: string): Promise<string> {
  try {
    const found = await stat(file)
    if (!found.isFile()) throw new Error('it is no file')
    if (found.size > MAX_BYTES) throw new Error('it is larger than 4 MiB')
    return await readFile(file, 'utf8')
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    throw new Error(`${file} cannot be read: ${code === 'ENOENT' ? 'there is no such file' : message}`)
  }
}

function certificatesIn(text: string, file: string): X509Certificate[] {
  const found = text.match(PEM) ?? []
  if (found.length === 0) throw new Error(`${file} has no certificate in it: write it as PEM (BEGIN CERTIFICATE)`)
  return found.map((pem, index) => {
    try {
      return new X509Certificate(pem)
    } catch (error) {
      throw new Error(`certificate ${index + 1} in ${file} cannot be read: ${(error as Error).message}`)
    }
  })
}

function checkPair(cert: string, certFile: string, key: string, keyFile: string): void {
  const [leaf, ...others] = certificatesIn(cert, certFile)
  if (/BEGIN ENCRYPTED PRIVATE KEY|Proc-Type: 4,ENCRYPTED/.test(key))
    throw new Error(`${keyFile} is encrypted: write it without a passphrase, readable by this user only`)
  const own = privateKey(key, keyFile)
  if (leaf!.checkPrivateKey(own)) return
  const belongs = others.findIndex(other => other.checkPrivateKey(own))
  throw new Error(
    belongs === -1
      ? `${keyFile} is not the key of the certificate in ${certFile}`
      : `certificate ${belongs + 2} in ${certFile} is that of ${keyFile}: it has to come first, those that issued it after it`,
  )
}

function privateKey(key: string, file: string) {
  try {
    return createPrivateKey(key)
  } catch {
    // What OpenSSL says may have a part of the key in it.
    throw new Error(`${file} has no private key in it: write it as PEM (BEGIN PRIVATE KEY)`)
  }
}
