// Says what things cost, over gRPC.
import { setTimeout as sleep } from 'node:timers/promises'
import { Server, ServerCredentials, type sendUnaryData } from '@grpc/grpc-js'
import { Prices } from './prices-client.ts'
import { name, work } from './serve.ts'

let slowMs = 0

const server = new Server()
server.addService(Prices.service, {
  async Get(_call: unknown, answer: sendUnaryData<object>) {
    await work(2)
    if (slowMs > 0) await sleep(slowMs)
    answer(null, { from: name, euros: 4.2 })
  },
  Slow({ request }: { request: { milliseconds: number } }, answer: sendUnaryData<object>) {
    slowMs = Math.min(request.milliseconds, 10_000)
    answer(null, { milliseconds: slowMs })
  },
})
server.bindAsync(`127.0.0.1:${process.env.PORT}`, ServerCredentials.createInsecure(), (error, port) => {
  if (error !== null) throw error
  console.log(`${name} listens on 127.0.0.1:${port}`)
})
