// sbom.js [FILE]: the software bill of materials of the image as CycloneDX 1.5 JSON, on standard output or in FILE: the
// packages that are in it (bundled or as files), as package-lock.json has them, and Node itself.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const read = name => JSON.parse(readFileSync(join(import.meta.dirname, '..', name), 'utf8'))
const { name, version, license, description } = read('package.json')
const { packages } = read('package-lock.json')

/** https://github.com/package-url/purl-spec: the @ of a scope is encoded. */
const purlOf = (name, version) => `pkg:npm/${name.replace(/^@/, '%40')}@${version}`

function component(path, { version, license, integrity }) {
  const name = path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length)
  const purl = purlOf(name, version)
  const [algorithm, digest] = integrity?.split(' ')[0].split('-') ?? []
  return {
    'bom-ref': purl,
    type: 'library',
    name,
    version,
    purl,
    ...(license !== undefined && { licenses: [{ expression: license }] }),
    ...(algorithm === 'sha512' && {
      hashes: [{ alg: 'SHA-512', content: Buffer.from(digest, 'base64').toString('hex') }],
    }),
  }
}

const installed = Object.entries(packages).filter(([path, { dev, devOptional }]) => path !== '' && !dev && !devOptional)
const node = packages['node_modules/node'].version
const document = {
  bomFormat: 'CycloneDX',
  specVersion: '1.5',
  version: 1,
  metadata: {
    component: {
      'bom-ref': purlOf(name, version),
      type: 'application',
      name,
      version,
      description,
      purl: purlOf(name, version),
      licenses: [{ expression: license }],
    },
  },
  components: [
    ...installed.map(([path, entry]) => component(path, entry)),
    {
      'bom-ref': `pkg:generic/node@${node}`,
      type: 'framework',
      name: 'node',
      version: node,
      purl: `pkg:generic/node@${node}`,
      licenses: [{ expression: 'MIT' }],
    },
  ],
}
const text = `${JSON.stringify(document, null, 2)}\n`
if (process.argv[2] === undefined) process.stdout.write(text)
else writeFileSync(process.argv[2], text)
