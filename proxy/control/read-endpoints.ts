import { text } from 'node:stream/consumers'
import { readEndpointFile } from '../../mesh-config/endpoint-file.ts'

/** The process that endpoint-reader.ts starts: a text in, one JSON value out. */
process.stdout.write(JSON.stringify(readEndpointFile(process.argv[2] ?? '', await text(process.stdin))))
