import { tlsServer } from './tls-accept.ts'
import { tlsDial } from './tls-wire.ts'

/** Loaded where something speaks TLS. */
export const tls = { dial: tlsDial, server: tlsServer }
